"""The attributes of a macro's caller, shared out among the targets that it makes."""

def chosen_attributes(kwargs, *lists):
    """Those of the attributes that the lists name."""
    return {word: kwargs[word] for words in lists for word in words if word in kwargs}

def exec_properties_for(kwargs, is_test):
    """exec_properties without those of groups that a rule has not, as {"exec_properties": ...}, or nothing.

    Bazel refuses a group that a rule has not: test rules alone have "test", those that link have others. A select()
    cannot be taken apart, and comes as it is.

    Args:
      kwargs: of the macro.
      is_test: the rule only runs what another one links.
    """
    properties = kwargs.get("exec_properties")
    if type(properties) == type({}):
        properties = {
            key: value
            for key, value in properties.items()
            if "." not in key or key.startswith("test.") == is_test
        }
    return {"exec_properties": properties} if properties else {}
