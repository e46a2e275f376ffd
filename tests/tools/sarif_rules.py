"""Checks a file against the rules of SARIF 2.1.0 (OASIS, sarif-schema-2.1.0.json) for the objects of Ringfence.

    sarif_rules.py FILE      prints what is wrong, one line each; exit status 0 where nothing is

Each object is named with the properties that the standard gives it: a property that is not listed, a value of another
type or outside its enumeration, and a required property that is missing are errors. Beyond the schema, the standard's
text demands that indices and references point at something; that is checked, too. So is what code hosts and Microsoft's
SARIF Multitool ask for beyond the standard: a place in a file for each result, texts that are sentences, a page of
help for each rule, fingerprints, no more tags and locations than GitHub takes.
"""

import json
import re
import sys

URI = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?(?:%[0-9A-Fa-f]{2}|[A-Za-z0-9._~!$&'()*+,;=:@/?#-])*$")

# name: (required, {property: type}). A type is a Python type, the name of an object, a list of one type (an array of
# it), a set (an enumeration), "uri", "bag" (any object), or ("map", type).
OBJECTS = {
    "log": (["version", "runs"], {"$schema": "uri", "version": {"2.1.0"}, "runs": ["run"]}),
    "run": (["tool"], {
        "tool": "tool", "automationDetails": "runAutomationDetails", "invocations": ["invocation"],
        "originalUriBaseIds": ("map", "artifactLocation"), "artifacts": ["artifact"],
        "logicalLocations": ["logicalLocation"], "taxonomies": ["toolComponent"],
        "columnKind": {"utf16CodeUnits", "unicodeCodePoints"}, "results": ["result"]}),
    "runAutomationDetails": ([], {"id": str, "description": "message"}),
    "tool": (["driver"], {"driver": "toolComponent"}),
    "toolComponent": (["name"], {
        "name": str, "fullName": str, "version": str, "semanticVersion": str, "organization": str,
        "informationUri": "uri",
        "shortDescription": "multiformatMessage", "rules": ["reportingDescriptor"], "taxa": ["reportingDescriptor"],
        "supportedTaxonomies": ["toolComponentReference"]}),
    "toolComponentReference": ([], {"name": str, "index": int, "guid": str}),
    "reportingDescriptor": (["id"], {
        "id": str, "name": str, "shortDescription": "multiformatMessage", "fullDescription": "multiformatMessage",
        "help": "multiformatMessage", "helpUri": "uri", "defaultConfiguration": "reportingConfiguration",
        "relationships": ["reportingDescriptorRelationship"], "properties": "bag"}),
    "reportingConfiguration": ([], {"enabled": bool, "level": {"none", "note", "warning", "error"}}),
    "reportingDescriptorRelationship": (["target"], {"target": "reportingDescriptorReference", "kinds": [str]}),
    "reportingDescriptorReference": (["id"], {"id": str, "index": int, "toolComponent": "toolComponentReference"}),
    "multiformatMessage": (["text"], {"text": str, "markdown": str}),
    "message": (["text"], {"text": str, "markdown": str}),
    "invocation": (["executionSuccessful"], {
        "commandLine": str, "startTimeUtc": "time", "endTimeUtc": "time", "executionSuccessful": bool,
        "exitCode": int, "exitSignalName": str, "exitSignalNumber": int,
        "workingDirectory": "artifactLocation"}),
    "artifactLocation": ([], {"uri": "uri", "uriBaseId": str, "index": int, "description": "message"}),
    "result": (["message"], {
        "ruleId": str, "ruleIndex": int, "level": {"none", "note", "warning", "error"}, "message": "message",
        "locations": ["location"], "partialFingerprints": ("map", str), "occurrenceCount": int,
        "relatedLocations": ["location"], "codeFlows": ["codeFlow"], "stacks": ["stack"],
        "taxa": ["reportingDescriptorReference"], "suppressions": ["suppression"],
        "baselineState": {"new", "unchanged", "updated", "absent"}, "properties": "bag"}),
    "location": ([], {"id": int, "physicalLocation": "physicalLocation", "logicalLocations": ["logicalLocation"],
                      "message": "message"}),
    "physicalLocation": (["artifactLocation"], {"artifactLocation": "artifactLocation", "region": "region"}),
    "region": (["startLine"], {"startLine": int, "startColumn": int, "snippet": "artifactContent"}),
    "artifactContent": ([], {"text": str}),
    "logicalLocation": ([], {"name": str, "kind": str, "index": int}),
    "artifact": ([], {"location": "artifactLocation"}),
    "codeFlow": (["threadFlows"], {"threadFlows": ["threadFlow"]}),
    "threadFlow": (["locations"], {"locations": ["threadFlowLocation"]}),
    "threadFlowLocation": ([], {"location": "location", "executionOrder": int}),
    "stack": (["frames"], {"message": "message", "frames": ["stackFrame"]}),
    "stackFrame": ([], {"location": "location", "module": str, "threadId": int}),
    "suppression": (["kind"], {"kind": {"inSource", "external"}, "justification": str}),
}

TIME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$")

MOST_TAGS = 20
MOST_LOCATIONS = 1000

MINIMUM = {"startLine": 1, "startColumn": 1, "occurrenceCount": 1, "index": -1, "ruleIndex": -1, "id": -1}


class Checker:
    def __init__(self):
        self.complaints = []

    def complain(self, path, text):
        self.complaints.append("%s: %s" % (path, text))

    def check(self, value, kind, path):
        if isinstance(kind, list):
            self.check_array(value, kind[0], path)
        elif isinstance(kind, set):
            if value not in kind:
                self.complain(path, "%r is none of %s" % (value, sorted(kind)))
        elif isinstance(kind, tuple):
            if self.is_object(value, path):
                for name, member in value.items():
                    self.check(member, kind[1], path + "." + name)
        elif kind == "bag":
            self.check_bag(value, path)
        elif kind == "uri":
            if not isinstance(value, str) or not URI.match(value):
                self.complain(path, "%r is no URI reference" % (value,))
        elif kind == "time":
            if not isinstance(value, str) or not TIME.match(value):
                self.complain(path, "%r is no time in UTC" % (value,))
        elif isinstance(kind, str):
            self.check_object(value, kind, path)
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.complain(path, "%r is no %s" % (value, kind.__name__))

    def is_object(self, value, path):
        if not isinstance(value, dict):
            self.complain(path, "%r is no object" % (value,))
        return isinstance(value, dict)

    def check_bag(self, value, path):
        if self.is_object(value, path) and "tags" in value:
            tags = value["tags"]
            if not all(isinstance(tag, str) for tag in tags) or len(set(tags)) != len(tags):
                self.complain(path, "tags are texts, each once")

    def check_array(self, value, kind, path):
        if not isinstance(value, list):
            self.complain(path, "%r is no array" % (value,))
            return
        for i, element in enumerate(value):
            self.check(element, kind, "%s[%d]" % (path, i))

    def check_object(self, value, kind, path):
        if not self.is_object(value, path):
            return
        required, properties = OBJECTS[kind]
        for name in required:
            if name not in value:
                self.complain(path, "%s has no %s" % (kind, name))
        for name, member in value.items():
            if name not in properties:
                self.complain(path, "%s has no property %s" % (kind, name))
                continue
            self.check(member, properties[name], path + "." + name)
            if isinstance(member, int) and name in MINIMUM and member < MINIMUM[name]:
                self.complain(path + "." + name, "%d is below %d" % (member, MINIMUM[name]))
            if kind in ("codeFlow", "threadFlow") and member == []:
                self.complain(path + "." + name, "is empty")

    def check_references(self, log):
        for r, run in enumerate(log["runs"]):
            rules = run["tool"]["driver"].get("rules", [])
            taxa = {taxon["id"] for taxonomy in run.get("taxonomies", []) for taxon in taxonomy["taxa"]}
            bases = run.get("originalUriBaseIds", {})
            for name in ("fullName", "semanticVersion", "informationUri"):
                if name not in run["tool"]["driver"]:
                    self.complain("runs[%d].tool.driver" % r, "has no %s" % name)
            self.check_rules(rules, taxa, "runs[%d]" % r)
            for i, result in enumerate(run.get("results", [])):
                self.check_result(result, rules, taxa, "runs[%d].results[%d]" % (r, i))
            self.check_bases(run, bases, "runs[%d]" % r)
            self.check_indices(run.get("results", []), run, "runs[%d].results" % r)
            for name, base in bases.items():
                if "uri" in base and not base["uri"].endswith("/"):
                    self.complain("originalUriBaseIds." + name, "does not end with a slash")

    def check_rules(self, rules, taxa, path):
        ids = [rule["id"] for rule in rules]
        if len(set(ids)) != len(ids):
            self.complain(path, "two rules have the same id")
        for rule in rules:
            for name in ("shortDescription", "fullDescription", "help"):
                self.check_sentence(rule.get(name), "%s: rule %s: %s" % (path, rule["id"], name))
            if "helpUri" not in rule:
                self.complain(path, "rule %s has no helpUri" % rule["id"])
            bag = rule.get("properties", {})
            if len(bag.get("tags", [])) > MOST_TAGS:
                self.complain(path, "rule %s has too many tags" % rule["id"])
            if not 0 < float(bag.get("security-severity", 0)) <= 10:
                self.complain(path, "rule %s has no security-severity from 0 to 10" % rule["id"])
            for relationship in rule.get("relationships", []):
                if relationship["target"]["id"] not in taxa:
                    self.complain(path, "there is no taxon %s" % relationship["target"]["id"])

    def check_result(self, result, rules, taxa, path):
        index = result.get("ruleIndex", -1)
        if index >= len(rules) or index < 0 or rules[index]["id"] != result["ruleId"]:
            self.complain(path, "rule %s is not at %d" % (result["ruleId"], index))
        for taxon in result.get("taxa", []):
            if taxon["id"] not in taxa:
                self.complain(path, "there is no taxon %s" % taxon["id"])
        self.check_sentence(result["message"], path + ".message")
        if not result.get("partialFingerprints"):
            self.complain(path, "has no fingerprint")
        if not result.get("locations"):
            self.complain(path, "is nowhere")
        for name in ("locations", "relatedLocations"):
            for location in result.get(name, []):
                if "uri" not in location.get("physicalLocation", {}).get("artifactLocation", {}):
                    self.complain(path + "." + name, "one is in no file")
            if len(result.get(name, [])) > MOST_LOCATIONS:
                self.complain(path + "." + name, "are too many")
        ids = [location["id"] for location in result.get("relatedLocations", [])]
        if len(set(ids)) != len(ids):
            self.complain(path, "two related locations have the same id")

    def check_indices(self, value, run, path):
        """An index of a file or a function is one of the table of the run."""
        if isinstance(value, list):
            for i, element in enumerate(value):
                self.check_indices(element, run, "%s[%d]" % (path, i))
        elif isinstance(value, dict):
            for name, member in value.items():
                self.check_indices(member, run, path + "." + name)
            table = "artifacts" if path.endswith(".artifactLocation") else "logicalLocations"
            names_one = path.endswith(".artifactLocation") or ".logicalLocations[" in path
            if names_one and value.get("index", -1) >= len(run.get(table, [])):
                self.complain(path, "there is none with index %d" % value["index"])

    def check_sentence(self, message, path):
        text = (message or {}).get("text", "")
        if not text.endswith(".") or "\n" in text:
            self.complain(path, "%r is no sentence" % text)

    def check_bases(self, value, bases, path):
        if isinstance(value, list):
            for i, element in enumerate(value):
                self.check_bases(element, bases, "%s[%d]" % (path, i))
        elif isinstance(value, dict):
            if "uriBaseId" in value and value["uriBaseId"] not in bases:
                self.complain(path, "there is no base %s" % value["uriBaseId"])
            if path.endswith(".artifactLocation") and "uriBaseId" not in value and ":" not in value.get("uri", ":"):
                self.complain(path, "%s is relative to nothing" % value["uri"])
            for name, member in value.items():
                self.check_bases(member, bases, path + "." + name)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        log = json.load(file)
    checker = Checker()
    checker.check(log, "log", "log")
    if not checker.complaints:
        checker.check_references(log)
    for complaint in checker.complaints:
        print(complaint)
    return 1 if checker.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
