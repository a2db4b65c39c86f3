"""The programs that tests take beside Python's packages, where Debian has them, and how they get here.

``python3 tests/machine/tools.py install`` installs what is missing where it may; with the word ``python`` it says
whether this Python can make the environment. Both are called by make before there is one, so that they take nothing
but an older Python's own library.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections import namedtuple

OLDEST = (3, 11)
_PLACES = "/usr/sbin:/sbin:/usr/local/sbin"  # of servers, which an ordinary PATH lacks

Tool = namedtuple("Tool", ["name", "packages", "root"])
Tool.__doc__ = """What a test takes: a program, or a library; Debian's packages; whether only root's tests take it."""

TOOLS = (
    Tool("zip", "zip", False),
    Tool("unzip", "unzip", False),
    Tool("7z", "p7zip-full", False),
    Tool("bsdtar", "libarchive-tools", False),
    Tool("strace", "strace", False),
    Tool("cc", "gcc libc6-dev", False),
    Tool("libgomp.so.1", "libgomp1", False),
    Tool("nginx", "nginx", False),
    Tool("sshd", "openssh-server", False),
    Tool("rclone", "rclone", False),
    Tool("chromium", "chromium", False),
    Tool("slurmctld", "slurm-wlm", True),
    Tool("slurmd", "slurm-wlm", True),
    Tool("sbatch", "slurm-wlm", True),
    Tool("munged", "munge", True),
)
BY_NAME = {tool.name: tool for tool in TOOLS}


def where(name):  # type: (str) -> str | None
    """Return where the program, or the library, ``name`` is; None where it is not installed."""
    if ".so" not in name:
        return shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + _PLACES)
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return name


def missing(root):  # type: (bool) -> list[Tool]
    """Return what is not installed, of what the tests of root, or of another, take."""
    return [tool for tool in TOOLS if (root or not tool.root) and where(tool.name) is None]


def reason(name):  # type: (str) -> str
    """Return why a test that takes ``name`` is left out."""
    return "needs " + name + ": apt-get install " + BY_NAME[name].packages


def packages_of(tools):  # type: (list[Tool]) -> list[str]
    """Return the packages of ``tools``, each once."""
    return list(dict.fromkeys(package for tool in tools for package in tool.packages.split()))


def as_root():  # type: () -> list[str] | None
    """Return what goes before a command that only root may give; None where nobody here may, or there is no apt-get."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.call(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) == 0:
        return ["sudo", "-n"]
    return None


def fetch(before, packages):  # type: (list[str], list[str]) -> list[str]
    """Install ``packages``; return those that could not be: one alone does not keep the others away."""
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt, "install", "-y", "-qq", "--no-install-recommends"]
    subprocess.call([*apt, "update", "-qq"])
    if subprocess.call([*install, *packages]) == 0:
        return []
    return [package for package in packages if subprocess.call([*install, package]) != 0]


def install():  # type: () -> None
    """Install what the tests take and is not here, where it may be, and say what could not be."""
    lacking = missing(os.geteuid() == 0)
    if not lacking:
        return
    before = as_root()
    if before is None:
        why = "neither root nor sudo without a password, or no apt-get"
        refused = packages_of(lacking)
    else:
        why = "apt-get could not"
        print("installing " + " ".join(packages_of(lacking)), flush=True)
        refused = fetch(before, packages_of(lacking))
    if refused:
        print("not installed (" + why + "): " + ", ".join(tool.name for tool in missing(os.geteuid() == 0)))
        print("the tests that need them are left out, and named at the end; apt-get install " + " ".join(refused))
        sys.stdout.flush()


def check_python():  # type: () -> str
    """Return what keeps this Python from making the environment, in a sentence; empty where nothing does."""
    if sys.version_info < OLDEST:
        has, needs = (".".join(map(str, version)) for version in (sys.version_info[:3], OLDEST))
        return (
            "Python " + needs + " or later is needed, and " + sys.executable + " is " + has + ": make PYTHON=python3.11"
        )
    try:
        import ensurepip  # noqa: F401  # which Debian has in a package of its own
        import venv  # noqa: F401
    except ImportError:
        return "Python lacks venv: apt-get install python3-venv"
    return ""


def main(word):  # type: (str) -> None
    """Do what make asks for."""
    if word == "install":
        install()
        return
    before = as_root()
    if check_python().endswith("python3-venv") and before is not None:
        fetch(before, ["python3-venv"])
    wrong = check_python()
    if wrong:
        sys.exit(wrong)


if __name__ == "__main__":
    main(sys.argv[1])
