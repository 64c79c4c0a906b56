import pytest

from odflow.errors import ConfigError, InputError
from odflow.reading import reads


def raising(error):
    @reads("a list", ConfigError)
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RecursionError("maximum"), "cannot be read as a list (it is nested too deeply)."),
        (MemoryError(), "cannot be read as a list (it takes more memory than there is)."),
        (KeyError("a\nb"), r"cannot be read as a list (KeyError: 'a\nb')."),
        (OSError(36, "File name too long"), "cannot be read (File name too long)."),
        (ValueError("\x1b[31m"), r"cannot be read as a list (ValueError: \x1b[31m)."),
    ],
    ids=["deep", "large", "key", "name", "control"],
)
def test_whatever_is_raised_the_file_is_named(error, said):
    with pytest.raises(ConfigError) as caught:
        raising(error)("a\x07.txt")
    assert str(caught.value) == rf"a\x07.txt: {said}"


def test_what_a_reader_tells_stays():
    with pytest.raises(InputError, match=r"^a:1: b\na:2: c$"):
        raising(InputError("a:1: b", "a:2: c"))("a")


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), ImportError("no pyarrow")], ids=["interrupt", "import"]
)
def test_what_is_not_about_the_file_passes(error):
    with pytest.raises(type(error)):
        raising(error)("a")


def test_a_generator_is_guarded_while_it_reads_but_not_who_takes_from_it():
    @reads("a list")
    def each(path):
        yield 1
        raise KeyError(path)

    found = each("a")
    assert next(found) == 1
    with pytest.raises(InputError, match="a: cannot be read as a list"):
        next(found)
    with pytest.raises(ZeroDivisionError):
        [1 / 0 for _ in each("a")]
