"""Each check of tools/tidy finds the bad input made for it, and nothing in a good one."""

import importlib.machinery
import importlib.util
import pathlib
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
loader = importlib.machinery.SourceFileLoader("tidy", str(HERE / "tidy"))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)

GOOD = "// Lexer: text to tokens.\n\n#pragma once\n\n#include \"base/result.h\"\n"


class Tidy(unittest.TestCase):
    def found(self, check, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "tests").mkdir()
            (root / "CMakeLists.txt").write_text("tapeline_room(jinja base)\ntapeline_room(base)\n")
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check(root))

    def test_a_good_file_has_no_findings(self):
        files = {"src/jinja/lexer.h": GOOD, "src/jinja/lexer.cc": '#include "jinja/lexer.h"\n'}
        for check in tidy.CHECKS:
            self.assertEqual(self.found(check, files), [], check.__name__)

    def test_an_include_that_climbs_is_found(self):
        files = {"src/jinja/lexer.h": '// x\n#include "feeds/feed.h"\n'}
        self.assertEqual(self.found(tidy.broken_floors, files),
                         ["src/jinja/lexer.h:2: jinja/ may not include feeds/"])

    def test_a_library_in_the_wrong_room_is_found(self):
        files = {"src/jinja/lexer.cc": "#include <duckdb.h>\n"}
        self.assertEqual(self.found(tidy.misplaced_libraries, files),
                         ["src/jinja/lexer.cc:1: <duckdb.h> belongs to warehouse/"])
        files = {"src/state/database.h": "#include <sqlite3.h>\n"}
        self.assertEqual(self.found(tidy.misplaced_libraries, files),
                         ["src/state/database.h:1: <sqlite3.h> does not belong in a header"])

    def test_a_banned_call_is_found(self):
        for call in ("std::chrono::system_clock::now()", "std::this_thread::sleep_for(x)",
                     "std::random_device d", "getenv(x)", "std::thread t", "std::ofstream f"):
            self.assertEqual(len(self.found(tidy.banned_calls, {"src/jinja/a.cc": call + ";\n"})), 1, call)

    def test_a_header_without_a_job_is_found(self):
        self.assertEqual(len(self.found(tidy.headers_without_a_job, {"src/jinja/a.h": "#pragma once\n"})), 1)

    def test_an_unknown_docstring_key_is_found(self):
        files = {"src/jinja/a.h": GOOD + "/// returns:  a thing\n/// errors:   none\n"}
        self.assertEqual(len(self.found(tidy.unknown_doc_keys, files)), 1)

    def test_a_long_line_is_found(self):
        self.assertEqual(len(self.found(tidy.long_lines, {"src/jinja/a.cc": "x" * 101 + "\n"})), 1)

    def test_a_leftover_is_found(self):
        for word in ("// FIXME", "// TODO later", '"/home/someone/x"'):
            self.assertEqual(len(self.found(tidy.leftovers, {"src/jinja/a.cc": word + "\n"})), 1, word)

    def test_a_room_that_differs_is_found(self):
        files = {"src/wire/a.cc": "\n"}
        self.assertEqual(self.found(tidy.rooms_that_differ, files), ["CMakeLists.txt: no room 'wire'"])

    def test_a_dead_header_is_found(self):
        self.assertEqual(self.found(tidy.dead_files, {"src/jinja/a.h": GOOD}),
                         ["src/jinja/a.h: nobody includes it"])


if __name__ == "__main__":
    unittest.main()
