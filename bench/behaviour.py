"""What source code does, as a hash: comments, docstrings and layout do not count, nor does what decides no result.

A method's modules count with all that they import of the same distribution and, of this project, of `methods`,
`baselines` and `bench.nn`, with the data files beside them that they name. The harness does not count here: it has
versions (`bench.identity.VERSIONS`).
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench.store import digest

OURS = ("methods", "baselines", "bench.nn")
"""Packages of this project whose modules count where they are imported."""
FACTS = ("slug", "task", "requires", "needs", "takes")
"""What a card says that decides a result; the rest of it is for readers."""
TOLD = ("golden", "presets", "prior_presets", "variants")
"""What a method class says that decides no result beside its options, which count by themselves."""
CODE = (".py", ".pyc", ".so")
SAME = {
    # the backbone of a projected discriminator may have a source of its own: where it has none, all is as it was; its
    # convolutions pad by themselves, to the same bits, and know their dilation, which only metrics set
    "9d5b41730aba856dc156e76d89de358495c97a5f30ec52a135dc6b11d60046c0":  # bench.nn.projected
    "e539f8da67ac2926605dda0a427c292a4d8840ab2cfc0b7cdd8238159d3f48ef",
    "00df25740d542bedf8f8836fdb0a8957cb54ccbf323476ac2c2ffff9b17fdec0":  # methods.grig.training
    "fd01694e198bd1688ca02c98d435183d1e120f43d43691687630538bb49808dd",
    # networks may say that they take squares alone: what they take of squares is as it was
    "0f8150c52014537c2c82960ef462d42d88eacc09b873d516a942744d53ba4e2c":  # bench.nn.sizes
    "2c14389270e077e49bdee462298b1140414921f3344eb2f8fb07f80a7f8bc7fa",
    "8c2d485346ec141e288fb0a7a90c79672407701bda3c6e3f425a7894f0d05c79":  # methods.isfrnet
    "1519747e32771d5772aad292fcaa8fe441e5a88003677fe6d0516c2f0297aa02",
    # activations are scaled and limited in place, noise is added in place, to the same bits
    "b78a33510ec8d18db62ef24e2f067b1117998cb2289c713962159895ce394b2a":  # bench.nn.stylegan2_blocks
    "56cab0db9826f0eac4f5d17a70c53de9c17d94dde28c1668379ca9400db11e61",
    # guides stand in one mapping of the batch; what was not mirrored with the images is not
    "36b944947b4f20deb1e12b853af300afbce985ca694b910fea76b3efa58d01f9":  # baselines.arcface
    "c6090255e37c291756b08c2db4a7f709b52de323ba50fd69a8b447eafff5754a",
    "6ee94ffa04f034626cfe491ad358958cdcd59bef946762807ee38bc59d520a4b":  # methods.exegan
    "f9abc4d56a55fe1125e6eccdf93cb1e3b73c2b2b24ef92918e5584e458e10aa8",
    "4328ef2f0050535b260b05285c4bf78be9b554b1b7e60432430233f115478e0c":  # methods.vspbfr
    "22fc190018f85552bc4d0de9409926f551a1e67d6c53c79858d8acfbe5c9a905",
    "860fd9ae269326af432430bb531cf4536d15a2389743850ad4ca77a963b2d69f":  # methods.semantic2stage
    "861a104a946ca204ed6fd57727d8d7ba6c97b12d564170d1cca3fc2a9e4e46a6",
    "35c6081df247c0fdc6226c25d890a7dcff57835c36ee7f8364b802a2181a7710":  # methods.semantic2stage.training
    "1b20838c523acd9ec181f7733d94e988553b7df89762fad1f9f9242a15c1799a",
    "3dfffc6e313f47312598f66e7e5b08d20dd55ce455c236e3c2ccc4179bd4010f":  # methods.facemug.networks
    "deb8e2a1a21e677477f5454d2c9dff0bb55245a43b80aaa0a92bcf843d9045f0",
    "ac8fb4631158a6dfd432d4ad1f188cc9bba882f37f39368a2dc5d1dddf94e610":  # methods.facemug.training
    "4a22d2546ecd4e00df763fce4df3a9e42acf85ce4ba8d6e2455a50ea9d3d5dc6",
    # restorers and edits beside the fills
    "5f7d143fe1d3ef4a132c12a7004bd045dee3b751fe9e2cb0fb67acb572479355":  # baselines.classical
    "117c2083931ad26523c0f41f0da2544812b51d099456b4edfc018f4f9602e66f",
    # presets of further sizes
    "ec067d84c4c06e5cda8705dabe4ad83337a50d09b5e3ba9a57d8a7723706e0a7":  # baselines.stylegan2
    "197927719a6dc599e189c6e338de0fe4917ac8f545054273ef39188c7f986c53",
    # its Adam takes more of PyTorch's options, and there are more schedules
    "c0004c7c2a0c6eeb504861517789fc49ca54e4ed501b7db2fa931f17894cdd6d":  # bench.nn.schedule
    "62a6a55e350894880a36295621946c2df0595e73fc2350ff2a35bf91f652ffca",
    # sums and activations of fresh maps are made in place, to the same bits
    "814106a0e6c365f155e32f8f5832cf9869129784c3e25450a6581b9a94a312a6":  # bench.nn.fourier
    "0b3933123f07b56a1521e23c3911b08ad77693dfbc6a729070d79f60ee92b07d",
    "bf65a4a6db0acf609222a9b7f433b5d19bd64264e5920031afff82d15674a31f":  # baselines.tfill.layers
    "895a5c564db907d3f1ee808ecb94210ff69168f52f18f8e851bc59e8109c0b38",
    # a penalty within a region, patches from anywhere and what a discriminator sees beside pictures stand beside what
    # was there; e4e has no option for a term that it never had
    "fe2c66b3a5f20951a9ae9d5ddf6ab9cfeac850a40165bdb73a06d63c30649579":  # bench.nn.losses
    "891ab8c07041a0ba89fa4ead301d26725e3f9865d339915c10619a8f15aaeeee",
    "6cb4984b28cc7f3c84b69705548a27f707abc143fcd564ac84b1d6b9707b242c":  # bench.nn.mmediting
    "230b85330b2b68b54480e7b0bfbf39e89a0c0b19539dbfe7b88a72fc27af2a0c",
    "c64c46466fc239faa64d0fc9a74d0f171a62b46b23d34f3f9704e74091cdcb41":  # bench.nn.stylegan2_training
    "fc2a765fe1bf1920b24c506aa72baaca0ed03f2e808db553a05e58c86aa3da24",
    "ed4db8cd63cc7e9fe9f128655c14c88062b345d57aaa06914ff4ed38d4dda495":  # baselines.e4e
    "55fabfb76e5ade816ba1983b296847712d80a9feeb0989777f6473f9d04ef0bc",
    # a second official file is loaded by the code of all; a domain that cannot be is told in one line
    "49c76f7c053d90a1fa8ac819ff8f43149ddfea02dfc531f788214581a32ec506":  # baselines.edgeconnect
    "12940e95c467cb6c27d93a241f13a32ce32723937410f5a64e8daea8034f7d7c",
    "e58835c18fbac6e2da316c50987a213f651df1fb215e8f8f8d4d59c7dd2d257e":  # baselines.lafin
    "ba0e95fe4efd3ce4ee1e21794b6245933d1b7c28f457533246278e17529cb9c1",
    "6f8f2275adb71cd0b2cff5f0439170257c0ba4eda196d021ad663725ab116f0e":  # baselines.lgnet
    "c4029ac8c886e4be28e24f3baf0c77e7d69aa4325030c2670dc0977d9833f70f",
    "407fab4a10dde377a2b9785381dfb07af7e4ef2de3ce7d4b9e080588af424a44":  # baselines.tfill
    "1c9c0367599f9f5c34b4773071d270c2012ccbe50bff3a96fcb1e9d145226bf3",
    "c77d985c3ff827836d463c2d2dcfc432df3380ed08b5dd56861395b00fe53918":  # baselines.rgtsi
    "afd76e06bd2f77d7cee42dcc2ca0510a0a0bd7fe919d6b496150387068208852",
    "cc6c05eb4d830be6699524f366dff16861fdd5630e31cb7931a97a830a63d6ac":  # baselines.psfrgan
    "e8f3a97ce8d62ad3642a511cdd5d6b503679db8dbd7fcc2012f7bc2ffa13bbfa",
    "7663ce5f65df05c3665b6f07b0b61ed9034bc095071a53d79571ba1cca18079d":  # baselines.deepfaceediting
    "0923514d3f6de4f5959fd53e57a37b251c084cc6775a39f34ab74dec1b96bbc7",
    "c760de48969e4c5f90ec6b58d7ed277ddb391da13eeaf23e5009e2ec876368d4":  # baselines.starganv2
    "0603d6388d5c1e28aff120f3dac782cfa2d848a491bd6bc9b9ca308109137d76",
    "1e4e1e2f4472d514e4c83c3d37eeb871eab7778c29b153270e7777b1e5fcc320":  # baselines.wan2020
    "dd952e56a8fb1488331912e45b741fcfbe60ac322e95d6427befbf580dcc3204",
    "8a925582bf4483217e1e8e648d461dc36fc3e72ae23fb602ecdf0cbc7d926e37":  # baselines.zits
    "95b169dd20ea32807c5e728cb65fa1382c7009548a45924720e62f0677cf7a1d",
    # what is searched for enters networks as it is, no copy of it: the counter of operations takes it now
    "1230f5f51c30c9ef1d8de30926dab389482579501dbf74f73a51b6e57bef163e":  # baselines.dps
    "03197ea9c753c641e507b89cbf76526b7a07835991d09b5851c668df3987897d",
    "ee795514676f52e1a5d5e72f016e9a0aedebd2db5510a7aa623b58806f53be54":  # baselines.diffface
    "48c2113ce5ac2e4769bf4eb679047422c776651b92014db54725274d225a3cb3",
    "f96e2adc1c8c1f4ca81c611f061d40eebefc7e272eb28574cb2ecda13c35fcd2":  # baselines.pulse
    "586a7cc3fced292d60fc8da3011e3137d236bede6a557b9a8c64a05cfc48cdf8",
    "70cd5b56d170e585df4fcf5496126f64a1e2f8708a58f03e5d6a1bcbba4f6b08":  # baselines.facereenactment
    "5f9ec1251729edcf17c9f845c5ff88b78f0978b6b20bbb2f77574b283dd34679",
}
"""What a file does now -> what it did, of edits that change no earlier result: nothing runs again for them. An entry
goes when its file changes further."""


@dataclass(frozen=True)
class File:
    """What is read of one file of source."""

    does: str
    """Hash of `described`, or of what stands for it in `SAME`."""
    asks: tuple[tuple[int, str, tuple[str, ...]], ...]
    """Its imports anywhere in it: level, module, names."""
    named: tuple[str, ...]
    """Regular expressions of its strings: they may be the names of data files."""


def source(module: str, path: Path) -> dict[str, str]:
    """What a method's module in this file does, with all that counts of what it imports: module -> hash."""
    return {
        name: digest([looked_at(file).does, *(_hashed(one, one.stat().st_mtime_ns) for one in beside(file))])
        for name, file in sorted(closure(module, path).items())
    }


def closure(module: str, path: Path) -> dict[str, Path]:
    """The modules that count, with their files: this one and, in turn, what they import."""
    found, waiting = {module: path}, [module]
    while waiting:
        name = waiting.pop()
        for other in _imports(name, found[name]):
            file = None if other in found else _file(other, module, path)
            if file:
                found[other] = file
                waiting.append(other)
    return found


def _imports(module: str, path: Path) -> Iterator[str]:
    """The modules that a file may import: of `from a import b` both a and a.b."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for level, name, names in looked_at(path).asks:
        parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
        base = ".".join([*parents, *([name] if name else [])])
        yield base
        yield from (f"{base}.{one}" for one in names)


def _file(name: str, method: str, path: Path) -> Path | None:
    """The file of a module that counts for this method; None for any other, and for what is no module."""
    top = name.partition(".")[0]
    ours = any(name == package or name.startswith(f"{package}.") for package in OURS)
    same = top == method.partition(".")[0] and top not in ("bench", "methods", "baselines")
    if "." not in method and not ours and not same:  # a module by itself: what lies beside it, unless all packages do
        beside = path.with_name(f"{top}.py").exists() or path.with_name(top).is_dir()
        same = beside and path.parent.name not in ("site-packages", "dist-packages")
    if not ours and not same:
        return None
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin)
    parts = name.split(".")[1:]
    folder = base.parent.joinpath(*parts)
    return (
        next((file for file in (folder / "__init__.py", folder.with_suffix(".py")) if file.is_file()), None)
        if parts
        else base
    )


def beside(path: Path) -> list[Path]:
    """The data files in a module's folder that its strings name: "weights.npz", or f"weights-{role}.npz"."""
    files = [file for file in path.parent.iterdir() if file.is_file() and file.suffix not in CODE]
    return sorted(file for file in files if any(re.fullmatch(named, file.name) for named in looked_at(path).named))


def looked_at(path: Path) -> File:
    """What a file of source says; read again when it changes."""
    return _looked_at(path, path.stat().st_mtime_ns)


@cache
def _hashed(path: Path, changed: int) -> str:
    return digest(path.read_bytes())


@cache
def _looked_at(path: Path, changed: int) -> File:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    asks: list[tuple[int, str, tuple[str, ...]]] = []
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            asks += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            asks.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.JoinedStr):
            texts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            named.add("".join(".+" if text is None else re.escape(str(text)) for text in texts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            named.add(re.escape(node.value))
    suffixed = (text for text in named if re.search(r"\\\.\w+$", text))
    does = digest(described(tree))
    return File(SAME.get(does, does), tuple(asks), tuple(sorted(suffixed)))


def described(tree: ast.Module) -> Any:
    """What a module does, JSON-like: the same on all versions of Python that read it."""
    golden = [one for one in tree.body if _sets(one) == "golden"]
    rest = [one for one in tree.body if one not in golden]
    idle = _reached(golden, tree) - _reached([one for one in rest if not _defines(one)], tree)
    return [_plain(one) for one in _without_text(rest) if _defines(one) not in idle]


def _reached(roots: list[ast.stmt], tree: ast.Module) -> set[str]:
    """The names of functions at the top of a module that these statements use, in turn."""
    functions = {name: one for one in tree.body if (name := _defines(one))}
    found: set[str] = set()
    waiting: list[ast.AST] = list(roots)
    while waiting:
        names = {node.id for node in ast.walk(waiting.pop()) if isinstance(node, ast.Name)}
        new = (names & functions.keys()) - found
        found |= new
        waiting += [functions[name] for name in new]
    return found


def _defines(node: ast.AST) -> str:
    return node.name if isinstance(node, ast.FunctionDef) else ""


def _sets(node: ast.AST) -> str:
    """The last name that an assignment sets: `golden` of `Method.golden = ...`."""
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    return getattr(target, "attr", getattr(target, "id", ""))


def _without_text(body: list[Any]) -> list[Any]:
    """Statements without texts that stand by themselves, such as docstrings."""
    return [
        one
        for one in body
        if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and isinstance(one.value.value, str))
    ]


def _plain(node: Any) -> Any:
    """A node as lists; places in the file, empty fields, and what does not count are left out."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, ast.AST):
        return node if isinstance(node, str | int | bool | None) else repr(node)
    fields = dict(ast.iter_fields(node))
    if isinstance(node, ast.Constant):
        return ["Constant", repr(node.value)]
    if isinstance(node, ast.ClassDef):
        fields["body"] = [one for one in fields["body"] if _sets(one) not in TOLD]
    if isinstance(fields.get("body"), list):
        fields["body"] = _without_text(fields["body"])
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Card":
        fields["keywords"] = [keyword for keyword in node.keywords if keyword.arg in FACTS]
    for name in ("ctx", "kind", "type_comment"):
        fields.pop(name, None)
    kept = {name: value for name, value in fields.items() if value is not None and value != []}
    return [type(node).__name__, {name: _plain(value) for name, value in kept.items()}]
