"""Does this folder work, and that hub, through its proxy? Checks say what to do.

A check is *ok*, a *warning* (it works, and somebody should look), *wrong*, or
*skipped* with the reason. Nothing is changed by looking, and nothing is published.
"""

from __future__ import annotations

from hub.doctor.checks import Check, State, is_well
from hub.doctor.folder import examine_folder
from hub.doctor.url import examine_url

__all__ = ["Check", "State", "examine_folder", "examine_url", "is_well"]
