"""A small part of Bazel's language, as Python: loads .bzl files of this repository, and notes the targets they make."""

import os


class Select:
    """select(), and lists added to it."""

    def __init__(self, *parts):
        self.parts = parts

    def __add__(self, other):
        return Select(*self.parts, other)

    def __radd__(self, other):
        return Select(other, *self.parts)

    def chosen(self, *conditions):
        """What it is where these hold."""
        found = []
        for part in self.parts:
            for condition in (*conditions, "//conditions:default") if isinstance(part, dict) else ():
                if condition in part:
                    found += part[condition]
                    break
            else:
                found += [] if isinstance(part, dict) else part
        return found


class Native:
    """native, and the rules of other repositories."""

    def __init__(self, package):
        self.package, self.targets = package, {}

    def package_name(self):
        return self.package

    def glob(self, *patterns, **_):
        return ["glob", *patterns[0]]

    def __getattr__(self, rule):
        def make(name, **attributes):
            if name in self.targets:
                raise AssertionError("two targets are called " + name)
            self.targets[name] = (rule, attributes)

        return make


class Struct:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Transition(Struct):
    """transition(): as Bazel has it, its implementation sees `inputs` alone, and must set each of `outputs`."""

    def __init__(self, implementation, inputs, outputs):
        super().__init__(inputs=inputs, outputs=outputs, call=implementation)

    def implementation(self, settings, attributes):
        made = self.call({name: settings[name] for name in self.inputs}, attributes)
        if sorted(made) != sorted(self.outputs):
            raise AssertionError("a transition sets %s, and names %s" % (sorted(made), sorted(self.outputs)))
        return made


class TestEnvironment(Struct):
    def __init__(self, env, inherited=None):
        super().__init__(env=env, inherited=inherited or [])


class Loader:
    """The .bzl files of tools/bazel, for a package that uses them."""

    def __init__(self, folder, package="their/package"):
        self.folder, self.native, self.loaded = folder, Native(package), {}

    def load(self, name):
        if name in self.loaded:
            return self.loaded[name]
        names = self.loaded[name] = {}
        kinds = Struct(string=attribute, string_dict=attribute, string_list=attribute, label=attribute,
                       label_list=attribute)
        names.update(
            Label=lambda text: "@ringfence" + text, select=Select, native=self.native, attr=kinds,
            depset=depset, CcInfo="CcInfo",
            transition=Transition, DefaultInfo=lambda **it: Struct(**it),
            testing=Struct(TestEnvironment=TestEnvironment),
            rule=lambda **it: Rule(self.native, it), load=lambda path, *words: self.bring(names, path, words))
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            exec(compile(file.read(), name, "exec"), names)  # pylint: disable=exec-used
        return names

    def bring(self, names, path, words):
        ours = self.load(path[1:]) if path.startswith(":") else None
        for word in words:
            names[word] = ours[word] if ours is not None else getattr(self.native, word)


def depset(items):
    return list(items)


def attribute(**settings):
    return settings


class Rule:
    """rule(): `how` is what it was called with."""

    def __init__(self, native, how):
        self.native, self.how = native, how

    def __call__(self, name, **attributes):
        unknown = set(attributes) - set(self.how["attrs"]) - COMMON - (TESTS if self.how.get("test") else set())
        if unknown:
            raise AssertionError("%s: no such attributes: %s" % (name, sorted(unknown)))
        for word, settings in self.how["attrs"].items():
            if settings.get("mandatory") and word not in attributes:
                raise AssertionError("%s: no %s" % (name, word))
            if "values" in settings and attributes[word] not in settings["values"]:
                raise AssertionError("%s: %s is %s" % (name, word, attributes[word]))
        self.native.targets[name] = (self, attributes)


COMMON = {"compatible_with", "deprecation", "exec_compatible_with", "exec_properties", "features", "restricted_to",
          "tags", "target_compatible_with", "testonly", "toolchains", "visibility"}
TESTS = {"args", "env", "env_inherit", "flaky", "local", "shard_count", "size", "timeout"}
