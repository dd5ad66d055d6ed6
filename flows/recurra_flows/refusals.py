"""What Prefect's API says where it refuses something."""

from __future__ import annotations

from prefect.exceptions import PrefectHTTPStatusError


def reason(error: PrefectHTTPStatusError) -> str:
    """What is wrong, without the request, which can be long."""
    try:
        said = error.response.json()
        if "exception_detail" in said:
            return "; ".join(fault["msg"] for fault in said["exception_detail"])
        return " ".join(str(said["detail"]).split())[:300]
    except (ValueError, KeyError, TypeError):
        return f"status {error.response.status_code}"
