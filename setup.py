"""The folders of this repository, installed as one package: `agents/` is imported as `agentlab_runner.agents`.

Names like `agents` or `envs` are common, and whoever is installed last would win.
"""

from setuptools import find_namespace_packages, setup

PACKAGE = "agentlab_runner"
ROOMS = ("conf", "runners", "agents", "envs", "data_cleaning", "video")

setup(
    packages=[
        f"{PACKAGE}.{name}"
        for room in ROOMS
        for name in (room, *(f"{room}.{wing}" for wing in find_namespace_packages(room)))
    ],
    package_dir={f"{PACKAGE}.{room}": room for room in ROOMS},
)
