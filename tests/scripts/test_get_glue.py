"""scripts/get_glue.sh: tiny archives from a local server end as the folders that bertcram reads."""
import io
import re
import unittest
import zipfile

from data_server import Page
from script_support import DATA, DONE, INPUT, ROOT, USAGE, ScriptTest, sha256

USUAL = ("train.tsv", "dev.tsv", "test.tsv")
MNLI = ("train.tsv", "dev_matched.tsv", "dev_mismatched.tsv", "test_matched.tsv", "test_mismatched.tsv")
ARCHIVES = {"CoLA": ("CoLA.zip", USUAL), "SST-2": ("SST-2.zip", USUAL), "STS-B": ("STS-B.zip", USUAL),
            "QQP": ("QQP-clean.zip", USUAL), "MNLI": ("MNLI.zip", MNLI), "QNLI": ("QNLIv2.zip", USUAL),
            "RTE": ("RTE.zip", USUAL), "WNLI": ("WNLI.zip", USUAL)}

MSR_HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
MSR_TRAIN = MSR_HEADER + "1\t10\t11\tOne .\tUno .\r\n0\t20\t21\tTwo \" .\tDos .\r\n1\t11\t10\tThree .\tTres .\r\n"
MSR_TEST = MSR_HEADER + "1\t30\t31\tFour .\tCuatro .\r\n0\t40\t41\tFive .\tCinco .\r\n"


def archive(folder, names, content=b"header\nrow\n"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as z:
        for name in names:
            z.writestr(f"{folder}/{name}", content)
        z.writestr(f"{folder}/original/readme.txt", b"kept")
    return data.getvalue()


class Glue(ScriptTest):
    def setUp(self):
        super().setUp()
        files = [(task, name, archive(task, names)) for task, (name, names) in ARCHIVES.items()]
        files += [("MRPC", "msr_paraphrase_train.txt", MSR_TRAIN.encode()),
                  ("MRPC", "msr_paraphrase_test.txt", MSR_TEST.encode()), ("MRPC", "mrpc_dev_ids.tsv", b"20\t21\n"),
                  ("AX", "AX.tsv", b"index\tsentence1\tsentence2\n0\ta\tb\n")]
        self.files = {name: (task, content) for task, name, content in files}
        for name, (_, content) in self.files.items():
            self.pages[f"/glue/data/{name}"] = Page(content)
        self.write_list()

    def write_list(self):
        rows = [f"{task}\t{name}\t{len(content)}\t{sha256(content)}\t{self.url('/glue/data/' + name)}\n"
                for name, (task, content) in self.files.items()]
        (self.folder / "list.tsv").write_text("".join(rows))

    def replace(self, name, content):
        self.files[name] = (self.files[name][0], content)
        self.pages[f"/glue/data/{name}"] = Page(content)
        self.write_list()

    def get(self, *words, **extra):
        return self.script("get_glue.sh", "--list", "list.tsv", "--output", "out", *words, **extra)

    def test_every_task_is_unpacked_into_the_folder_and_files_that_bertcram_reads(self):
        self.assert_code(self.get(), DONE)
        source = (ROOT / "src/glue/task_table.cpp").read_text()
        folders = re.findall(r'usual_task\("\w+", "([\w-]+)"', source)
        self.assertEqual(len(folders), 10)
        for folder in folders:
            names = {"MNLI": MNLI, "AX": ("diagnostic.tsv",)}.get(folder, USUAL)
            for name in names:
                self.assertIn(f'"{name}"', source, "bertcram does not read a file of this name")
                self.assertTrue((self.folder / "out" / folder / name).is_file(), f"{folder}/{name}")
        # No file that the table names is forgotten, but for the labelled diagnostics, which are not published there.
        here = {p.name for p in (self.folder / "out").rglob("*") if p.is_file()}
        read = set(re.findall(r'"([\w-]+\.(?:tsv|txt))"', source))
        self.assertEqual(read - here, {"diagnostic-full.tsv"})
        # Nothing else is left: no archives, no half-made folders.
        self.assertEqual(sorted(p.name for p in (self.folder / "out").iterdir()), [".fetch-lock", *sorted(folders)])

    def test_a_second_run_asks_nothing(self):
        self.assert_code(self.get(), DONE)
        self.server.requests.clear()
        self.assert_code(self.get(), DONE)
        self.assertEqual(self.server.requests, [])

    def test_tasks_are_named_as_in_bertcram(self):
        self.assert_code(self.get("--tasks", "rte,SST-2"), DONE)
        self.assertEqual(sorted(p.name for p in (self.folder / "out").iterdir()), [".fetch-lock", "RTE", "SST-2"])
        result = self.get("--tasks", "rte,nope")
        self.assert_code(result, USAGE)
        self.assertIn("no task 'nope'", result.stderr)

    def test_mrpc_is_split_by_the_listed_ids(self):
        self.assert_code(self.get("--tasks", "mrpc"), DONE)
        header = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        self.assertEqual(self.read("out/MRPC/dev.tsv").decode(), header + "0\t20\t21\tTwo \" .\tDos .\n")
        self.assertEqual(self.read("out/MRPC/train.tsv").decode(),
                         header + "1\t10\t11\tOne .\tUno .\n1\t11\t10\tThree .\tTres .\n")
        self.assertEqual(self.read("out/MRPC/test.tsv").decode(),
                         "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
                         "0\t30\t31\tFour .\tCuatro .\n1\t40\t41\tFive .\tCinco .\n")
        self.assertEqual(self.read("out/MRPC/dev_ids.tsv"), b"20\t21\n")

    @unittest.skipUnless((DATA / "glue/MRPC/dev.tsv").is_file(), f"no real MRPC in {DATA} (BERTCRAM_DATA_DIR)")
    def test_the_real_mrpc_becomes_byte_for_byte_what_the_official_script_makes(self):
        real = DATA / "glue/MRPC"
        for name, original in (("msr_paraphrase_train.txt", "msr_paraphrase_train.txt"), ("mrpc_dev_ids.tsv", "dev_ids.tsv"),
                               ("msr_paraphrase_test.txt", "msr_paraphrase_test.txt")):
            content = (real / original).read_bytes()
            self.assertIn(f"{len(content)}\t{sha256(content)}", (ROOT / "scripts/glue_sources.tsv").read_text(), name)
            self.replace(name, content)
        self.assert_code(self.get("--tasks", "mrpc"), DONE)
        for name in ("train.tsv", "dev.tsv", "test.tsv"):
            self.assertEqual(self.read(f"out/MRPC/{name}"), (real / name).read_bytes(), name)

    @unittest.skipUnless((DATA / "glue/AX/diagnostic.tsv").is_file(), f"no real AX in {DATA} (BERTCRAM_DATA_DIR)")
    def test_the_real_diagnostics_have_the_published_checksum(self):
        content = (DATA / "glue/AX/diagnostic.tsv").read_bytes()
        self.assertIn(f"AX.tsv\t{len(content)}\t{sha256(content)}", (ROOT / "scripts/glue_sources.tsv").read_text())

    def test_wrong_bytes_make_no_folder(self):
        other = archive("RTE", USUAL, b"header\nwor\n")
        self.assertEqual(len(other), len(self.files["RTE.zip"][1]), "only the checksum should tell them apart")
        self.pages["/glue/data/RTE.zip"] = Page(other)
        self.assert_code(self.get("--tasks", "rte"), INPUT)
        self.assertFalse((self.folder / "out/RTE").exists())

    def test_an_archive_that_lacks_a_split_makes_no_folder(self):
        self.replace("RTE.zip", archive("RTE", ("train.tsv", "dev.tsv")))
        result = self.get("--tasks", "rte")
        self.assert_code(result, INPUT)
        self.assertIn("RTE lacks test.tsv", result.stderr)
        self.assertFalse((self.folder / "out/RTE").exists())

    def test_something_that_is_no_archive_is_told(self):
        self.replace("RTE.zip", b"<html>sign in first</html>")
        result = self.get("--tasks", "rte")
        self.assert_code(result, INPUT)
        self.assertIn("cannot be unpacked", result.stderr)
        self.assertFalse((self.folder / "out/RTE").exists())

    def test_an_incomplete_folder_of_the_user_is_not_touched(self):
        (self.folder / "out/RTE").mkdir(parents=True)
        (self.folder / "out/RTE/dev.tsv").write_text("mine\n")
        result = self.get("--tasks", "rte")
        self.assert_code(result, INPUT)
        self.assertIn("lacks train.tsv test.tsv", result.stderr)
        self.assertEqual(self.read("out/RTE/dev.tsv"), b"mine\n")
        self.assertEqual(self.server.requests, [])

    def test_a_cut_archive_is_continued(self):
        page = self.pages["/glue/data/MNLI.zip"]
        page.cuts = [100]
        self.assert_code(self.get("--tasks", "mnli"), DONE)
        self.assertEqual(self.server.gets("/glue/data/MNLI.zip")[-1], ("/glue/data/MNLI.zip", "bytes=100-"))

    def test_a_mirror_is_tried_first_by_the_path_of_the_source(self):
        self.pages["/copy/glue/data/RTE.zip"] = self.pages.pop("/glue/data/RTE.zip")
        self.assert_code(self.get("--tasks", "rte", "--mirror", self.url("/copy/")), DONE)
        self.assertEqual([path for path, _ in self.server.gets()], ["/copy/glue/data/RTE.zip"])

    def test_without_unzip_python_unpacks(self):
        tools = self.folder / "tools"
        tools.mkdir()
        for name in ("bash env curl sha256sum flock awk sed stat mkdir mv cp rm rmdir cut dirname basename tr tail df sync "
                     "python3 cat sleep").split():
            found = self.run_script("bash", "-c", f"command -v {name}").stdout.strip()
            if name == "python3":
                found = self.run_script("python3", "-c", "import sys; print(sys.executable)").stdout.strip()
            (tools / name).symlink_to(found)
        self.assert_code(self.get("--tasks", "rte", PATH=str(tools)), DONE)
        self.assertTrue((self.folder / "out/RTE/dev.tsv").is_file())

    def test_every_official_file_has_size_checksum_and_an_https_address(self):
        lines = (ROOT / "scripts/glue_sources.tsv").read_text().splitlines()
        rows = [line.split("\t") for line in lines if line[0] != "#"]
        self.assertEqual(sorted({row[0] for row in rows}), sorted([*ARCHIVES, "MRPC", "AX"]))
        for _, file, size, checksum, url in rows:
            self.assertRegex(checksum, "^[0-9a-f]{64}$", file)
            self.assertGreater(int(size), 0)
            self.assertTrue(url.startswith("https://") and url.endswith("/" + file), url)


if __name__ == "__main__":
    unittest.main()
