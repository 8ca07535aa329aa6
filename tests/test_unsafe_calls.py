"""What the code never does, whatever it is given: unpickle, evaluate, hand text to a shell, unpack an archive, trust a model's code."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("pipeline", "detector", "stages") for path in (ROOT / folder).rglob("*.py"))
MODULES = ("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve")
HARMLESS = ("UnpicklingError",)
"""An exception class can be caught without unpickling anything."""
BUILT_IN = ("eval", "exec", "compile", "__import__")
"""`model.eval()` and `re.compile` are others."""
WHOLE = ("os.system", "os.popen", "yaml.load", "yaml.load_all", "yaml.Loader", "yaml.UnsafeLoader", "yaml.FullLoader")
METHODS = ("extractall", "unpack_archive", "read_pickle", "unsafe_load", "full_load")


def unsafe(code: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong there)."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [] if all(alias.name in HARMLESS for alias in node.names) else [node.module or ""]
        else:
            names = []
        for name in names:
            if name.partition(".")[0] in MODULES:
                yield node.lineno, f"imports {name}"
        if isinstance(node, ast.Call) and (problem := wrong(node)):
            yield node.lineno, problem


def wrong(call: ast.Call) -> str | None:
    function = ast.unparse(call.func)
    owner, _, name = function.rpartition(".")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg}
    if function in BUILT_IN or function in WHOLE or name in METHODS:
        return f"calls {function}"
    if given.get("shell", "False") != "False":
        return "hands text to a shell"
    if function == "torch.load" and given.get("weights_only") != "True":
        return "unpickles: torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        return "unpickles: allow_pickle"
    if given.get("trust_remote_code", "False") != "False":
        return "trusts a model's code"
    if name in ("from_pretrained", "from_config") and owner.startswith("Auto") and "trust_remote_code" not in given:
        return f"leaves it to {owner} to ask about a model's code"
    return None


def test_no_source_does_it():
    assert len(SOURCES) > 100
    found = [f"{path.relative_to(ROOT)}:{line} {problem}" for path in SOURCES for line, problem in unsafe(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.numpy_pickle",
        "from pickle import loads",
        "from pickle import loads, UnpicklingError",
        "eval('1')",
        "exec(text)",
        "os.system('ls')",
        "subprocess.run(line, shell=True)",
        "subprocess.run(line, shell=flag)",
        "tarfile.open(path).extractall(folder, filter='data')",
        "shutil.unpack_archive(path)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "AutoTokenizer.from_pretrained(folder)",
        "AutoTokenizer.from_pretrained(folder, trust_remote_code=True)",
        "DiffusionPipeline.from_pretrained(folder, trust_remote_code=True)",
        "open_clip.get_tokenizer(name, trust_remote_code=allowed)",
    ],
)
def test_each_of_them_would_be_found(code):
    assert list(unsafe(code))


@pytest.mark.parametrize(
    "code",
    [
        "from pickle import UnpicklingError",
        "model.eval()",
        "re.compile('x')",
        "yaml.safe_load(text)",
        "torch.load(path, weights_only=True)",
        "AutoTokenizer.from_pretrained(folder, trust_remote_code=False)",
        "subprocess.run([program, path])",
    ],
)
def test_what_is_harmless_is_not(code):
    assert not list(unsafe(code))
