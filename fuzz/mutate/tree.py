"""A copy of what Bazel built, in which single actions can run again: one fault costs a compilation and a few links.

Bazel's action graph says how each file is made, the compiler's dependency files say of which sources. A copy is made of
hard links, so it takes little room, and it can be put back after each fault.
"""

import collections
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

Action = collections.namedtuple("Action", "mnemonic arguments environment inputs outputs")
Test = collections.namedtuple("Test", "label program arguments")

# Programs, not what Bazel itself writes.
RUNNABLE = ("CppCompile", "CppLink", "Genrule", "CcStrip")
LARGEST_OUTPUT = 64 << 20


class Broken(Exception):
    """An action that fails: the fault does not compile."""


def sources_of(root):
    done = subprocess.run(["git", "ls-files"], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
    return [path for path in done.stdout.splitlines() if os.path.isfile(os.path.join(root, path))]


class Graph:
    """The actions behind some tests, from `bazel aquery --output=jsonproto`."""

    def __init__(self, text, execroot, root):
        self.execroot = execroot
        self.root = os.path.realpath(root)
        self.data = json.loads(text)
        self.fragments = {f["id"]: (f["label"], f.get("parentId", 0)) for f in self.data["pathFragments"]}
        self.paths = {a["id"]: self._path(a["pathFragmentId"]) for a in self.data["artifacts"]}
        self.sets = {s["id"]: s for s in self.data["depSetOfFiles"]}
        self.flat = {}
        self.labels = {t["id"]: t["label"] for t in self.data["targets"]}
        self.maker = {}
        self.tests = {}
        self.middlemen = {}
        for raw in self.data["actions"]:
            self._read(raw)

    def _path(self, fragment):
        parts = []
        while fragment:
            label, fragment = self.fragments[fragment]
            parts.append(label)
        return "/".join(reversed(parts))

    def _files(self, set_id):
        if set_id not in self.flat:
            self.flat[set_id] = frozenset()
            part = self.sets[set_id]
            found = {self.paths[i] for i in part.get("directArtifactIds", [])}
            for other in part.get("transitiveDepSetIds", []):
                found |= self._files(other)
            self.flat[set_id] = frozenset(found)
        return self.flat[set_id]

    def _read(self, raw):
        inputs = set()
        for set_id in raw.get("inputDepSetIds", []):
            inputs |= self._files(set_id)
        outputs = [self.paths[i] for i in raw.get("outputIds", [])]
        if raw["mnemonic"] == "TestRunner":
            label, words = self.labels[raw["targetId"]], raw["arguments"]
            program = f"bazel-out/{outputs[0].split('/')[1]}/bin/{words[1]}"
            self.tests[label] = Test(label, program, words[2:])
            return
        # A link's arguments stand there, and once more in a file that is not.
        arguments = [word for word in raw.get("arguments", []) if not (word[:1] == "@" and word.endswith(".params"))]
        environment = {e["key"]: e.get("value", "") for e in raw.get("environmentVariables", [])}
        action = Action(raw["mnemonic"], arguments, environment, inputs, outputs)
        for output in outputs:
            self.maker[output] = action

    def inputs_of(self, action):
        """The inputs that matter: for a compilation, the files that its dependency file lists."""
        lists = [path for path in action.outputs if path.endswith(".d")]
        if lists and os.path.exists(os.path.join(self.execroot, lists[0])):
            with open(os.path.join(self.execroot, lists[0]), encoding="utf-8") as file:
                return set(file.read().replace("\\\n", " ").split()[1:])
        return action.inputs

    def real(self, path):
        """The source that a path of the build stands for."""
        if "_virtual_includes/" not in path:
            return path
        return os.path.relpath(os.path.realpath(os.path.join(self.execroot, path)), self.root)

    def reach(self):
        """For each test its actions, each after those that it needs; and the sources of each action."""
        self.order, self.needs, self.sources, self.runfiles = {}, {}, {}, {}
        for label, test in self.tests.items():
            done, order = {}, []
            stack = [(test.program, False)]
            self.runfiles[label] = self._runfiles(test)
            stack += [(path, False) for _, path in self.runfiles[label]]
            self.sources[label] = sources = set()
            while stack:
                path, ready = stack.pop()
                action = self.maker.get(path)
                if action is None:
                    sources.add(path)
                if action is None or (id(action) in done and not ready):
                    continue
                if ready:
                    order.append(action)
                    continue
                done[id(action)] = True
                stack.append((path, True))
                stack += [(p, False) for p in self._needs(action)]
            self.order[label] = order
        return self

    def _runfiles(self, test):
        """(name, path in the copy or outside of it) of each file that the test finds beside itself."""
        found = []
        with open(os.path.join(self.execroot, test.program + ".runfiles_manifest"), encoding="utf-8") as file:
            for line in file:
                name, _, path = line.rstrip("\n").partition(" ")
                workspace, _, inner = name.partition("/")
                if path.startswith(self.execroot + "/bazel-out/"):
                    path = path[len(self.execroot) + 1 :]
                elif workspace == os.path.basename(self.execroot) and path.endswith("/" + inner):
                    path = inner
                found.append((name, path))
        return found

    def _needs(self, action):
        if id(action) not in self.needs:
            self.needs[id(action)] = {self.real(path) for path in self.inputs_of(action)}
        return self.needs[id(action)]

    def affected(self, label, changed):
        """The actions of a test that must run again when these files change, in order."""
        dirty, found = set(changed), []
        for action in self.order[label]:
            if not dirty.isdisjoint(self._needs(action)):
                dirty.update(action.outputs)
                found.append(action)
        return found


class Tree:
    """One copy, at `folder`."""

    def __init__(self, graph, root, folder, flags=None):
        self.graph = graph
        self.root = root
        self.folder = folder
        self.flags = flags or (lambda action: action.arguments)
        self.touched = set()

    def make(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.symlink(os.path.join(self.graph.execroot, "external"), os.path.join(self.folder, "external"))
        for path in sources_of(self.root):
            self._copy(os.path.join(self.root, path), os.path.join(self.folder, path))
        wanted = {path.split("/")[1] for path in self.graph.maker if path.startswith("bazel-out/")}
        for name in wanted:
            for top, folders, files in os.walk(os.path.join(self.graph.execroot, "bazel-out", name)):
                folders[:] = [f for f in folders if not f.endswith(".runfiles")]
                relative = os.path.relpath(top, self.graph.execroot)
                os.makedirs(os.path.join(self.folder, relative), exist_ok=True)
                for entry in files + [f for f in folders if os.path.islink(os.path.join(top, f))]:
                    self._link(os.path.join(relative, entry))
        return self

    def _copy(self, old, new):
        os.makedirs(os.path.dirname(new), exist_ok=True)
        shutil.copy2(old, new, follow_symlinks=False)

    def _link(self, path):
        old, new = os.path.join(self.graph.execroot, path), os.path.join(self.folder, path)
        if os.path.lexists(new):
            os.unlink(new)
        if not os.path.islink(old):
            try:
                os.link(old, new)
            except OSError:
                shutil.copy2(old, new)
            return
        target = os.readlink(old)
        for base in (self.graph.execroot, self.root):
            if target.startswith(base + "/") and not target.startswith(base + "/external/"):
                target = self.folder + target[len(base) :]
        os.symlink(target, new)

    def run(self, action):
        if action.mnemonic not in RUNNABLE:
            return
        for path in action.outputs:
            full = os.path.join(self.folder, path)
            self.touched.add(path)
            if os.path.lexists(full):
                os.unlink(full)
            os.makedirs(os.path.dirname(full), exist_ok=True)
        environment = dict(action.environment, PATH=os.environ["PATH"], LC_ALL="C")
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        done = subprocess.run(self.flags(action), cwd=self.folder, env=environment, check=False, **output)
        if done.returncode != 0:
            raise Broken(done.stdout.decode(errors="replace"))

    def write(self, path, text):
        with open(os.path.join(self.folder, path), "w", encoding="utf-8") as file:
            file.write(text)

    def put_back(self, action):
        """The outputs of one action, as Bazel left them."""
        for path in action.outputs:
            if os.path.lexists(os.path.join(self.graph.execroot, path)):
                self._link(path)

    def restore(self):
        """As Bazel left it; sources are the caller's business."""
        for path in self.touched:
            if os.path.lexists(os.path.join(self.graph.execroot, path)):
                self._link(path)
        self.touched.clear()

    def lay_out(self, test):
        """The folder of the files that the test finds beside itself."""
        top = os.path.join(self.folder, test.program + ".runfiles")
        if not os.path.exists(top):
            for name, path in self.graph.runfiles[test.label]:
                os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                os.symlink(os.path.join(self.folder, path), os.path.join(top, name))
        return os.path.join(top, os.path.basename(self.graph.execroot))

    def test(self, test, timeout):
        """(None or why it failed, seconds). As Bazel does, by the name beside the files that it finds there."""
        cwd = self.lay_out(test)
        scratch = tempfile.mkdtemp(prefix="rf", dir="/tmp")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": scratch,
            "USER": "nobody",
            "TMPDIR": scratch,
            "TEST_TMPDIR": scratch,
            "TEST_SRCDIR": os.path.dirname(cwd),
            "RUNFILES_DIR": os.path.dirname(cwd),
            "TEST_WORKSPACE": os.path.basename(self.graph.execroot),
            "BAZEL_TEST": "1",
            "TEST_TARGET": test.label,
            "GTEST_FAIL_FAST": "1",
            "TZ": "UTC",
        }
        start = time.monotonic()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [os.path.join(cwd, test.program.partition("/bin/")[2])] + test.arguments,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=as_a_test_starts,
            )
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                end_session(process)
            output.seek(0)
            text = output.read(LARGEST_OUTPUT).decode(errors="replace")
        shutil.rmtree(scratch, ignore_errors=True)
        seconds = time.monotonic() - start
        if status == 0:
            return None, seconds
        return ("timeout" if status is None else f"status {status}: {first_failure(text)}"), seconds


def as_a_test_starts():
    """Signals that the caller ignores, as nohup and a shell's & let it, are at their default. A fault that takes all
    memory ends the test, not what else runs on the machine."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def end_session(process):
    """The test, and what it has started and left."""
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(name)}/stat", encoding="utf-8", errors="replace") as file:
                session = int(file.read().rpartition(")")[2].split()[3])
            if session == process.pid:
                os.kill(int(name), signal.SIGKILL)
        except (ValueError, OSError):
            pass
    process.wait()


def first_failure(text):
    lines = [line.strip() for line in text.splitlines()]
    marks = ("Failure", "FAILED", "fuzz: ", "ERROR", "FAIL")
    return next((line for line in lines if any(mark in line for mark in marks)), lines[-1] if lines else "")[:160]
