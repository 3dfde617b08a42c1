"""Images of the stack: pull missing ones, and build obswarm's own from the installed package."""

import base64
import hashlib
import io
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from textwrap import shorten

from obswarm.resources import shipped
from obswarm.stack.docker_engine import Engine, StackError
from obswarm.stack.project import compose_file

CONTEST_IMAGE = "obswarm-contest:latest"
_BUILD_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_AUTHORITIES = "authorities.pem"
_LAST_LINES = 8
_STEP_WIDTH = 88

Say = Callable[[str], None]


def needed_images(engine: Engine, images: Iterable[str], own: str, echo: Say) -> None:
    """Pull or build missing images. Raises StackError for one that is not available."""
    for image in sorted(set(images)):
        if engine.has_image(image):
            continue
        if image == own:
            echo(f"Building {image} from the installed package; this takes a minute, once per version.")
            build(engine, image, own_context(), echo)
        elif image == CONTEST_IMAGE:
            echo(f"Building {image}, the application of the demo.")
            build(engine, image, folder_context(shipped("examples") / "contest", ("Dockerfile",)), echo)
        else:
            pull(engine, image, echo)


def pull(engine: Engine, image: str, echo: Say) -> None:
    """Pull an image, printing the progress. Raises StackError."""
    echo(f"Pulling {image}.")
    from docker.utils import parse_repository_tag

    repository, tag = parse_repository_tag(image)
    layers: dict[str, tuple[int, int]] = {}
    shown_quarters = 0
    try:
        for event in engine.client.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in event:
                raise StackError(_cannot_pull(image, event["error"]))
            detail = event.get("progressDetail") or {}
            if event.get("status") == "Downloading" and detail.get("total"):
                layers[event.get("id", "")] = (detail["current"], detail["total"])
                done, whole = (sum(each) for each in zip(*layers.values(), strict=True))
                if done * 4 // whole > shown_quarters:
                    shown_quarters = done * 4 // whole
                    echo(f"Pulling {image}: {done / whole:.0%}")
    except engine.failures as error:
        raise StackError(_cannot_pull(image, getattr(error, "explanation", None) or str(error))) from None


def _cannot_pull(image: str, reason: str) -> str:
    return (
        f"The image {image} cannot be pulled: {reason.strip()}. Pull it where there is a network and copy it with"
        f" docker save and docker load, or choose another image with {_variable(image)}."
    )


def _variable(image: str) -> str:
    """Return the environment variable that chooses the image."""
    texts = (
        compose_file().read_text(encoding="utf-8"),
        (shipped("examples") / "contest" / "compose.yaml").read_text(encoding="utf-8"),
    )
    for variable, usual in re.findall(r"\$\{(\w+_IMAGE):-([^}]+)\}", "".join(texts)):
        if os.environ.get(variable, usual) == image:
            return str(variable)
    return "a variable (see compose.yaml)"


def build(engine: Engine, image: str, context: bytes, echo: Say) -> None:
    """Build an image. `context` is a tar archive with a Dockerfile. Raises StackError with the build's last lines."""
    arguments = {name: os.environ[name] for name in _BUILD_VARIABLES if os.environ.get(name)}
    lines: list[str] = []
    try:
        stream = engine.client.api.build(
            fileobj=io.BytesIO(context),
            custom_context=True,
            tag=image,
            rm=True,
            forcerm=True,
            decode=True,
            buildargs=arguments,
            network_mode=os.environ.get("OBSWARM_BUILD_NETWORK"),
        )
        for event in stream:
            text = event.get("stream", "").strip()
            if text:
                lines.extend(text.splitlines())
            if text.startswith("Step "):
                echo(f"  {shorten(' '.join(text.split()), _STEP_WIDTH, placeholder=' …')}")
            if "error" in event:
                raise StackError(
                    "\n".join((f"{image} cannot be built: {event['error'].strip()}", *lines[-_LAST_LINES:]))
                )
    except engine.failures as error:
        raise StackError(f"{image} cannot be built: {error}") from None


def own_context() -> bytes:
    """Return the build context of obswarm's image: the Dockerfile, and the installed package as a wheel."""
    folder = shipped("compose")
    files = {name: (folder / name).read_bytes() for name in ("Dockerfile", "healthy")}
    name, content = wheel()
    return _tar({**files, name: content, _AUTHORITIES: _authorities()})


def _authorities() -> bytes:
    """Return the CA certificates that pip trusts on this machine (PIP_CERT), needed behind a TLS-intercepting proxy."""
    path = os.environ.get("PIP_CERT")
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise StackError(f"PIP_CERT={path} cannot be read for the image's build: {error.strerror}.") from None


def folder_context(folder: Path, names: Iterable[str]) -> bytes:
    """Return a build context of the named files of a folder."""
    return _tar({name: (folder / name).read_bytes() for name in names})


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            # A fixed time, so that the build cache recognises unchanged files.
            member.mode = 0o755 if content.startswith(b"#!") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def wheel() -> tuple[str, bytes]:
    """Return (file name, content) of a wheel of the installed package, editable or not
    (https://packaging.python.org/en/latest/specifications/binary-distribution-format/)."""
    distribution = metadata.distribution("obswarm")
    information = f"obswarm-{distribution.version}.dist-info"
    package = Path(__file__).resolve().parents[1]
    files: dict[str, bytes] = {}
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[f"obswarm/{path.relative_to(package).as_posix()}"] = path.read_bytes()
    for name in ("METADATA", "entry_points.txt"):
        files[f"{information}/{name}"] = (distribution.read_text(name) or "").encode()
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: obswarm\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # The earliest time that ZIP supports: the same content makes the same wheel.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return f"obswarm-{distribution.version}-py3-none-any.whl", buffer.getvalue()


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
