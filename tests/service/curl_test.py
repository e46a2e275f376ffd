#!/usr/bin/env python3
"""The collector asks by curl: all that it is told, and nothing else."""

import os
import re
import subprocess

import service
from service import Service, append, check, database, equal, event


def what_curl_is_told_is_all_that_it_needs():
    """Its own configuration is left out; a text that is odd stays a text."""
    with Service(start=False) as s:
        folder = os.path.join(s.root, "bin")
        os.mkdir(folder)
        with open(folder + "/curl", "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\nunset LD_PRELOAD\necho \"$*\" > {s.root}/words\ncat > {s.root}/told\n"
                       "printf '{\"taken\":1,\"twice\":0,\"done\":\"kept\"}\\n200'\n")
        os.chmod(folder + "/curl", 0o700)
        path = folder + ":" + os.environ["PATH"]
        append(s.directory, event("a", "1"))
        s.once()

        def told(*words, **more):
            done = subprocess.run([service.SERVE, words[0], *words[1:]], stdout=subprocess.PIPE, check=False,
                                  stderr=subprocess.STDOUT,
                                  env=dict(os.environ, PATH=path, RINGFENCE_TOKEN="t\"o\\k", **more))
            equal(done.returncode, 0, done.stdout)
            with open(s.root + "/words", encoding="utf-8") as file:
                equal(file.read(), "-q -K -\n")
            with open(s.root + "/told", encoding="utf-8") as file:
                return [re.sub(r"/proc/\d+/fd/\d+", "FD", line) for line in file.read().splitlines()]

        plain = ["silent", "globoff", "connect-timeout = 5", "location", "max-redirs = 4", 'proto = "=http,https"',
                 'proto-redir = "=http,https"']
        # By a slow line a batch of records takes more than a minute, and a file more than ten, and both arrive.
        slow = ["speed-limit = 1", "speed-time = 60", 'max-time = "3600"']
        body = ['request = "POST"', 'data-binary = "@FD"', "post301", "post302", "post303", 'header = "Expect:"']
        bearer = 'header = "Authorization: Bearer t\\"o\\\\k"'
        append(s.directory, event("b", "2"))
        equal(told("forward", "--to", "http://h/x//", "--once", "--no-shared", s.directory),
              plain + slow + ['write-out = "\\\\n%{http_code}"', bearer] + body +
              ['header = "Content-Type: application/x-ndjson"', 'url = "http://h/x//api/v1/records"'])
        equal(told("symbols", "upload", "--to", "http://h/", service.SERVE, "--dir", s.directory)[7:],
              slow + ['write-out = "\\\\n%{http_code}"', bearer, 'request = "POST"',
               f'upload-file = "{service.SERVE}"', 'header = "Expect:"',
               'header = "Content-Type: application/octet-stream"',
               'url = "http://h/api/v1/symbols?name=ringfence-serve"'])
        equal(told("export", "--as", "otlp", "--to", "https://h/x/", "--dir", s.directory)[-3:],
              ['header = "Expect:"', 'header = "Content-Type: application/json"', 'url = "https://h/x/v1/logs"'])
        equal(told("export", "--as", "otlp", "--to", "https://h/v1/logs?a=b", "--dir", s.directory)[-1:],
              ['url = "https://h/v1/logs?a=b"'])
        got = told("export", "--as", "sentry", "--to", "https://key:secret@h:8/a/b/7", "--dir", s.directory)
        equal(got[9:17] + got[-1:],
              ['header = "X-Sentry-Auth: Sentry sentry_version=7, sentry_client=ringfence/1, sentry_key=key"', *body,
               'header = "Content-Type: application/x-sentry-envelope"', 'url = "https://h:8/a/b/api/7/envelope/"'])
        found = {"pc": "0x1010", "module": "/srv/gone", "build_id": "abcdef02", "offset": "0x1010"}
        append(s.directory, event("c", "3", f_found={"thread": 1, "frames": [found]}))
        got = told("serve", "--once", "--no-shared", "--dir", s.directory, DEBUGINFOD_URLS="http://h/d")
        equal(got[7:9] + got[10:], ['max-time = "24"', 'write-out = "\\\\n%{http_code}"', 'max-filesize = "4294967296"',
                                    'url = "http://h/d/buildid/abcdef02/debuginfo"'])
        database(s).execute("UPDATE activity SET alert = 1, time = time - 10000 WHERE finding = 1")
        s.options = ["--webhook", 'http://h/a"b\\c\nd\re']
        s.environment = {"PATH": path}
        os.unlink(s.root + "/told")
        s.start()
        s.wait(lambda: s.ask("status")["alerts_waiting"] == 0)
        with open(s.root + "/told", encoding="utf-8") as file:
            lines = file.read().splitlines()
        equal(lines[:11] + lines[12:],
              [*plain[:3], "fail", "location", "max-redirs = 0", *plain[5:], 'max-time = "20"', 'output = "/dev/null"',
               'request = "POST"', 'header = "Expect:"', 'header = "Content-Type: application/json"',
               'url = "http://h/a\\"b\\\\c d e"'])
        check(lines[11].startswith('data-raw = "{\\"text\\"'), lines)


service.main([
    what_curl_is_told_is_all_that_it_needs,
])
