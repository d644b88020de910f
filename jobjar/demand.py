"""What somebody asks for is one job or many: only who makes an array pays for what arrays need."""

from jobjar import preparation, settling, submission
from jobjar.directives import Request
from jobjar.errors import UsageError
from jobjar.layout import Jar


def prepare(jar: Jar, data: preparation.Data, given: Request, lists: list[list[str]], node: str,
            name: str = "job") -> submission.Request:
    """As `preparation.prepare`; an `expansion.Batch` when what is asked for, or a list of a command line, makes an
    array of it."""
    wishes = preparation.asked(data, given, name)
    if lists or any(key in wishes for key in settling.MANY):
        # Takes longer to import than all that one job needs.
        from jobjar import expansion
        # All tasks are this one file, or have a copy each.
        return expansion.batch(jar, bytes(data), wishes, lists, node, name)
    return preparation.prepare(jar, data, given, node, name)


def split(words: list[str]) -> tuple[list[str], list[list[str]]]:
    """(the words of the command, the lists) of what stands on a command line; UsageError for an empty list."""
    if submission.LIST not in words:
        return words, []
    lists: list[list[str]] = []
    for word in words[words.index(submission.LIST):]:
        if word == submission.LIST:
            lists.append([])
        else:
            lists[-1].append(word)
    if not all(lists):
        raise UsageError(f"an empty list stands on the command line: write its items behind {submission.LIST}")
    return words[:words.index(submission.LIST)], lists
