"""`recurra score` and the flow of that name: a pass over an inbox, in workers; what is kept is `recurra.scoring`'s."""
