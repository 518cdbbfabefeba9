"""The simulated phone; `SimPhone` is imported on first use, so that its data modules can be used alone."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from envs.android.sim.phone import SimPhone as SimPhone

__all__ = ["SimPhone"]


def __getattr__(name: str) -> Any:
    if name == "SimPhone":
        from envs.android.sim.phone import SimPhone

        return SimPhone
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
