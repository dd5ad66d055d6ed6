"""How much memory there is to take."""

from pathlib import Path

import psutil
import pytest

from recurra.memory import available_memory


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


VERSION_2 = {
    "proc/self/cgroup": "0::/jobs/one\n",
    "sys/fs/cgroup/jobs/one/memory.max": "max\n",
    "sys/fs/cgroup/jobs/one/memory.current": "100\n",
    "sys/fs/cgroup/jobs/memory.max": "5000\n",
    "sys/fs/cgroup/jobs/memory.current": "3000\n",
    "sys/fs/cgroup/jobs/memory.stat": "anon 2900\ninactive_file 50\n",
}
VERSION_1 = {
    "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/of/the/host\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "5000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "4000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 7\n",
}


@pytest.mark.parametrize(("files", "left"), [(VERSION_2, 2050), (VERSION_1, 1007)])
def test_a_container_may_have_less_than_the_machine(tmp_path: Path, files: dict[str, str], left: int) -> None:
    assert available_memory(write(tmp_path, files)) == left


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n"},
        {**VERSION_1, "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2**63 - 4096}\n"},
    ],
)
def test_without_a_limit_the_machine_decides(tmp_path: Path, files: dict[str, str]) -> None:
    assert available_memory(write(tmp_path, files)) == pytest.approx(psutil.virtual_memory().available, rel=0.2)
