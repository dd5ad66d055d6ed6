"""What can go wrong, told apart by whose turn it is to act."""


class RecurraError(Exception):
    """A failure of ours or of the machine: one clear line, exit status 1."""

    exit_code = 1


class InputError(RecurraError):
    """A wrong request or wrong input: names the file, field or row, what was expected and what to do; exit status 2."""

    exit_code = 2


class DeviceMemoryError(RecurraError):
    """The device's memory is full. A backend raises it in place of its framework's own error."""


def nearest(name: str, known: "list[str] | tuple[str, ...]") -> str:
    """` Did you mean 'x'?` for the known name nearest to `name`, or an empty string where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""
