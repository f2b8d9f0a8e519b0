"""Holds the case files of this folder against Python's Jinja2 3.1.6.

    python oracle.py            prints the differences and `N passed, N failed`; exit 1 if any
    python oracle.py --update   writes what Jinja2 says into the files

A case is

    === name
    context: a dict as Jinja2 writes it
    --- template
    ...
    --- expected            or: --- error, with nothing below
    ...

A text ends before the newline that precedes the next marker. `return` is dbt's: it ends the
macro around it and hands back a value of any type.
"""

import pathlib
import sys

import jinja2
import jinja2.runtime

VERSION = "3.1.6"


class Return(Exception):
    def __init__(self, value):
        self.value = value


def return_(data):
    raise Return(data)


def install_return():
    plain = jinja2.runtime.Macro._invoke

    def invoke(self, arguments, autoescape):
        if self.name is None:  # a call block: return() ends the macro that runs it
            return plain(self, arguments, autoescape)
        try:
            return plain(self, arguments, autoescape)
        except Return as signal:
            return signal.value

    jinja2.runtime.Macro._invoke = invoke


def environment():
    return jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])


def cases(text):
    for part in text.split("=== ")[1:]:
        head, _, rest = part.partition("\n--- template\n")
        name, _, context = head.partition("\ncontext: ")
        if "\n--- error" in rest:
            template, expected = rest[: rest.rindex("\n--- error")], None
        else:
            template, _, expected = rest.partition("\n--- expected\n")
            expected = expected.removesuffix("\n")
        yield name, context, template, expected


def rendered(env, context, template):
    try:
        values = env.compile_expression(context)()
        return env.from_string(template).render(**values, **{"return": return_})
    except Exception:
        return None


def written(name, context, template, expected):
    end = "--- error\n" if expected is None else f"--- expected\n{expected}\n"
    return f"=== {name}\ncontext: {context}\n--- template\n{template}\n{end}"


def main():
    if jinja2.__version__ != VERSION:
        sys.exit(f"Jinja2 {VERSION} is needed, this is {jinja2.__version__}")
    install_return()
    env = environment()
    update = "--update" in sys.argv[1:]
    count = differences = 0
    for path in sorted(pathlib.Path(__file__).parent.glob("*.txt")):
        out = ""
        for name, context, template, expected in cases(path.read_bytes().decode()):
            count += 1
            now = rendered(env, context, template)
            if now != expected:
                differences += 1
                print(f"{path.name}: {name}: has {expected!r}, Jinja2 says {now!r}")
            out += written(name, context, template, now)
        if update:
            path.write_bytes(out.encode())
    print(f"{count - differences} passed, {differences} failed")
    sys.exit(0 if update or differences == 0 else 1)


if __name__ == "__main__":
    main()
