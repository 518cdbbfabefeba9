"""What this machine has, and which experiments that lets it run."""

import importlib.metadata
import netrc
import os
import platform
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from packaging.requirements import Requirement

from agentlab_runner.runners.config.extras import extras, install
from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.manifest import hardware

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome", "chromium-browser", "chrome")
BROWSER_STARTS = 30
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: str
    """ok, missing, or info for what can be neither."""
    detail: str
    fix: str = ""
    """What to do about a missing one."""


def examine(online: bool = False) -> list[Check]:
    """Every check in the order it is shown; the model hub is asked only when `online`."""
    machine = hardware()
    checks = [
        Check("python", "info", platform.python_version()),
        Check("cores", "info", f"{machine['cores']} ({machine['cpu']})"),
        Check("memory", "info", f"{machine['memory_gb']:g} GB"),
        torch(),
        cuda(machine["gpu"]),
        kvm(),
        adb(),
        devices(),
        chromium(),
        wandb(),
        *(extra(name) for name in extras()),
    ]
    return [*checks, hub()] if online else checks


def unmet(cfg: DictConfig) -> dict[str, str]:
    """What this machine lacks of what a config `requires`, and why; a GPU only where the trainer is to use one."""
    on_cpu = OmegaConf.select(cfg, "trainer.device") == "cpu"
    needs = [need for need in cfg.get("requires") or [] if not (on_cpu and need.partition(":")[0] == "cuda")]
    return {need: problem for need in needs if (problem := lacking(need))}


def refuse_unmet(cfg: DictConfig) -> None:
    """Stop a run that cannot be on this machine. Phones are left to the run, which alone knows where to ask for them.

    Raises:
        UserError: if the machine lacks something that the config requires.
    """
    for need, problem in unmet(cfg).items():
        if need == "adb":
            continue
        raise UserError(f"this experiment requires {need}, but: {problem} (requires=[] tries without)")


def experiments() -> Iterator[tuple[str, list[str]]]:
    """Each experiment and what keeps it from running here; an empty list means it can run."""
    from agentlab_runner.runners.config.compose import compose

    for name in choices("exp"):
        try:
            yield name, list(unmet(compose([f"+exp={name}"])).values())
        except UserError as fault:
            yield name, [str(fault)]


def lacking(need: str) -> str | None:
    """What is missing for an entry of `requires` (adb, cuda, cuda:N, chromium, kvm, extra:NAME); None if nothing is."""
    kind, _, name = need.partition(":")
    if kind == "extra" and name in extras():
        check = extra(name)
    elif kind == "cuda" and name.isdecimal():
        check = gpus(int(name))
    elif need in ("adb", "cuda", "chromium", "kvm"):
        check = {"adb": devices, "cuda": cuda, "chromium": chromium, "kvm": kvm}[need]()
    else:
        return f"it requires {need!r}, which is none of adb, cuda, cuda:N, chromium, kvm, extra:NAME"
    return None if check.state == "ok" else f"{check.name}: {check.detail}; {check.fix}"


def torch() -> Check:
    try:
        return Check("torch", "ok", importlib.metadata.version("torch"))
    except importlib.metadata.PackageNotFoundError:
        return Check("torch", "missing", "not installed", "pip install torch")


def cuda(gpus: list[str] | None = None) -> Check:
    """A GPU that torch can use; torch is imported only if the machine has one at all."""
    gpus = hardware()["gpu"] if gpus is None else gpus
    if not gpus:
        return Check("cuda", "missing", "no NVIDIA GPU", "use trainer=cpu, or a machine with one")
    from torch.cuda import is_available

    if is_available():
        return Check("cuda", "ok", ", ".join(gpus))
    return Check("cuda", "missing", f"{', '.join(gpus)}, which this torch cannot use", "install a CUDA build of torch")


def gpus(wanted: int) -> Check:
    """Whether there are as many GPUs as an experiment of several processes wants."""
    check = cuda()
    if check.state != "ok" or (found := len(hardware()["gpu"])) >= wanted:
        return check
    return Check("cuda", "missing", f"{found} of {wanted} GPUs", f"use trainer.processes={found}, or trainer=gpu")


def kvm() -> Check:
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Check("kvm", "ok", "/dev/kvm can be used")
    if Path("/dev/kvm").exists():
        return Check("kvm", "missing", "/dev/kvm is not yours to use", "join its group: sudo usermod -aG kvm $USER")
    return Check("kvm", "missing", "no /dev/kvm", "turn virtualisation on in the firmware, or use the simulated phone")


def adb() -> Check:
    found = shutil.which("adb") or _bundled_adb()
    if found:
        return Check("adb", "ok", found)
    return Check("adb", "missing", "no adb program", f"install the Android platform tools, or {install('android')}")


def devices() -> Check:
    """Phones an adb server knows; a server is asked if one runs, and never started."""
    said = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
    if not (said.isdecimal() and 0 < int(said) < 65536):
        return Check("adb devices", "missing", f"ANDROID_ADB_SERVER_PORT is {said!r}", "set it to a port number")
    port = int(said)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as server:
            server.sendall(b"000chost:devices")
            answer = server.makefile("rb").read().decode(errors="replace")
    except OSError:
        fix = "start one with adb start-server, or a simulated phone with agentlab phone serve"
        return Check("adb devices", "missing", f"no adb server on port {port}", fix)
    states = dict(line.split("\t", 1) for line in answer[8:].splitlines() if "\t" in line)
    listed = ", ".join(f"{serial} ({state})" for serial, state in states.items()) or "none"
    if "device" in states.values():
        return Check("adb devices", "ok", listed)
    fix = "connect a phone with USB debugging, start an emulator, or agentlab phone serve"
    return Check("adb devices", "missing", listed, fix)


def chromium() -> Check:
    """A browser, started once: one that is there and does not start is none."""
    asked = os.environ.get("AGENTLAB_CHROMIUM")
    found = shutil.which(asked) if asked else next(filter(None, map(shutil.which, BROWSERS)), None)
    fix = "install chromium-headless-shell or chromium from your system's packages (make system)"
    if found is None:
        return Check("chromium", "missing", f"AGENTLAB_CHROMIUM is {asked!r}" if asked else "no browser", fix)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    page = ["--headless", "--disable-gpu", "--disable-dev-shm-usage", *root, "--dump-dom", "data:text/html,agentlab"]
    try:
        with tempfile.TemporaryDirectory() as profile:
            command = [found, f"--user-data-dir={profile}", *page]
            shown = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_STARTS)
            version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=BROWSER_STARTS)
    except (OSError, subprocess.TimeoutExpired) as fault:
        return Check("chromium", "missing", f"{found} does not start: {fault}", fix)
    if "agentlab" not in shown.stdout:
        said = (shown.stderr.strip().splitlines() or ["it showed nothing"])[-1]
        return Check("chromium", "missing", f"{found} does not start: {said[:200]}", fix)
    return Check("chromium", "ok", f"{' '.join(version.stdout.split())} ({found})")


def wandb() -> Check:
    """Whether W&B could go online; runs are recorded offline either way."""
    if os.environ.get("WANDB_API_KEY"):
        return Check("wandb", "info", "logged in by WANDB_API_KEY")
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        known = any("wandb" in host for host in netrc.netrc(file).hosts)
    except (OSError, netrc.NetrcParseError):
        known = False
    return Check("wandb", "info", "logged in" if known else "not logged in; runs are kept offline (wandb login)")


def hub() -> Check:
    """Whether the model hub answers."""
    from urllib.request import Request, urlopen

    from huggingface_hub.constants import ENDPOINT

    try:
        with urlopen(Request(ENDPOINT, method="HEAD"), timeout=5):
            return Check("model hub", "ok", ENDPOINT)
    except OSError as fault:
        return Check("model hub", "missing", f"{ENDPOINT}: {fault}", "use model=tiny, or a folder as model.name")


def extra(name: str) -> Check:
    """Whether everything an extra needs is installed."""
    absent = [need.name for need in extras()[name] if not _installed(need)]
    if absent:
        return Check(f"extra:{name}", "missing", f"without {', '.join(absent)}", install(name))
    return Check(f"extra:{name}", "ok", "installed")


def _installed(need: Requirement) -> bool:
    try:
        version = importlib.metadata.version(need.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return need.specifier.contains(version, prereleases=True)


def _bundled_adb() -> str | None:
    """The adb program that adbutils brings along."""
    try:
        files = importlib.metadata.files("adbutils") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name in ("adb", "adb.exe")), None)
