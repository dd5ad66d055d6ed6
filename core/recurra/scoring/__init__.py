"""Batch inference on the new files of a folder, the inbox: each file exactly once, whatever is killed when.

A folder SCORES holds all of one name:

SCORES/score.json                              which inbox, which classes (a champion's may change)
SCORES/score.lock                              held by the one process that commits; once let go, no thread of it does
SCORES/predictions/day=2026-11-23/PART.parquet a row for each scored file; hive partitions
SCORES/ledger/PART.parquet                     a row for each file that is done: scored, or refused with a reason
SCORES/ledger/FIRST-LAST.parquet               the same of all parts from FIRST to LAST, merged
SCORES/refused/...                             what could not be read, by its path below the inbox; NAME.reason.json
SCORES/tmp/                                    what is being made; nobody else reads there

A file is told by its path below the inbox, its size and its time of modification: one that changes is new. Parts have
numbers, each higher than all before; a batch of files makes one part, or none.

The protocol
------------
1. The process that holds `score.lock` lists the inbox, leaves out what the ledger has, and hands the rest to a worker.
   The worker only ever writes below `tmp/`: one that outlives a killed parent can do no harm.
2. For each batch the worker writes the predictions and the ledger's rows, checks by size and times that no file changed
   while it was read (one that did is in neither), and renames their folder to say that they are whole.
3. The holder of the lock then commits the part:
       fsync the predictions; make the day's folder, fsync the one above it
       rename the predictions into it            <- the commit: before it nothing happened, after it the batch is done
       fsync the day's folder
       fsync the ledger's rows, rename them into the ledger, fsync its folder
       set the refused files aside
4. A next pass, the lock held, first makes good what a crash left undone: `tmp/` is cleared; a part of the predictions
   whose number the ledger does not cover gets its rows from the predictions themselves, which hold all they need. A
   refused file that is in the ledger and still in the inbox is set aside then.

So a file is in the predictions exactly once: its row appears by one rename, and a file whose row is there is left out
by every later pass, because of step 4. A batch in which everything was refused has no predictions; there the rename
into the ledger is the commit, and a refusal that was lost with a crash is found again.

Setting a file aside may fail: then it stays, and each pass tries again. Across file systems it is copied, and before
the original is removed it is hidden in a folder `.recurra-aside` beside it, to look whether it is still the same; what
a crash leaves there the next pass puts back.

Merging the ledger writes FIRST-LAST beside the parts it replaces, renames it into the ledger, and only then removes
those; whoever finds both leaves out the parts that a longer range covers. Predictions are never rewritten.
"""
