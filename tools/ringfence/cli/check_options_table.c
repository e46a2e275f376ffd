#include "tools/ringfence/cli/check_options_table.h"

#include <stddef.h>

const rf_option_row rf_option_rows[RF_OPTIONS] = {
    [RF_OPTION_MODE] = {"mode", 'm', "MODE", "mode=", "how to check: guard (the default), page, sample or off"},
    [RF_OPTION_CONTINUE] = {"continue", 'c', NULL, "halt=0",
                            "go on after a finding, and let every process end as it would"},
    [RF_OPTION_NO_HALT] = {"no-halt", '\0', NULL, "halt=0", "the same"},
    [RF_OPTION_HALT] = {"halt", '\0', NULL, "halt=1", "end a process at its first finding (the default)"},
    [RF_OPTION_LEAKS] = {"leaks", '\0', "WHICH", "leaks=",
                         "leaks to report: 1, those in code with names (the default);\n"
                         "all; reachable, also what is still in use at the end; 0, none"},
    [RF_OPTION_NO_LEAKS] = {"no-leaks", '\0', NULL, "leaks=0", "the same as --leaks=0"},
    [RF_OPTION_QUARANTINE] = {"quarantine", '\0', "BYTES",
                              "quarantine=", "freed memory to hold back and watch for writes; K, M and G count"},
    [RF_OPTION_STACK_DEPTH] = {"stack-depth", '\0', "N",
                               "stack_depth=", "return addresses to keep of each allocation and free"},
    [RF_OPTION_EXITCODE] = {"exitcode", 'e', "N",
                            "exitcode=", "status to exit with after findings (default 99); 0: the program's own"},
    [RF_OPTION_OPTION] = {"option", 'o', "KEY=VALUE", "", "any option of the library (docs/checkers/options.md)"},
    [RF_OPTION_SUPPRESSIONS] = {"suppressions", '\0', "FILE", NULL,
                                "hide findings that a rule in FILE matches; may be repeated"},
    [RF_OPTION_BASELINE] = {"baseline", '\0', "FILE", NULL,
                            "findings in FILE are known: only new ones count for the exit status;\n"
                            "the program goes on after a finding, unless --halt is given as well"},
    [RF_OPTION_WRITE_BASELINE] = {"write-baseline", '\0', "FILE", NULL,
                                  "write to FILE that all findings of this run are known, and exit as the\n"
                                  "program does, which goes on after a finding"},
    [RF_OPTION_FORMAT] = {"format", 'f', "FORMAT", NULL,
                          "of what is printed, or of --output: text (the default), json,\n"
                          "sarif, junit or html"},
    [RF_OPTION_OUTPUT] = {"output", '\0', "FILE", NULL,
                          "write a report to FILE as well, in the format that its name ends in\n"
                          "(.txt .json .sarif .xml .html) or --format says; may be repeated"},
    [RF_OPTION_SARIF] = {"sarif", '\0', "FILE", NULL,
                         "write a report to FILE as SARIF 2.1.0, whatever its name ends in"},
    [RF_OPTION_JUNIT] = {"junit", '\0', "FILE", NULL, "the same as JUnit's XML"},
    [RF_OPTION_HTML] = {"html", '\0', "FILE", NULL, "the same as one page of HTML"},
    [RF_OPTION_JSON] = {"json", 'j', "FILE", NULL,
                        "write findings and summary to FILE as well, one JSON object a line"},
    [RF_OPTION_TRACE] = {"trace", '\0', "FILE", "trace=",
                         "record all requests for memory to FILE, for `ringfence replay`;\n"
                         "with %p in its name, which is the process id, those of each process"},
    [RF_OPTION_LOG] = {"log", 'l', "FILE", NULL, "print to FILE instead of standard error"},
    [RF_OPTION_QUIET] = {"quiet", 'q', NULL, NULL, "print nothing when nothing was found"},
    [RF_OPTION_VERBOSE] = {"verbose", 'v', NULL, NULL, "say what is done, list the processes, show whole stacks"},
    [RF_OPTION_KEEP] = {"keep", 'k', NULL, NULL, "keep what the processes recorded, and say where it is"},
    [RF_OPTION_LIBRARY] = {"library", '\0', "FILE", NULL, "the libringfence.so to use"},
    [RF_OPTION_HELP] = {"help", 'h', NULL, NULL, "print this and exit"},
};
