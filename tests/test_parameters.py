"""The values of a job's options: what is taken, what is refused with a remedy, and that all is written back."""

import pytest

from jobjar import parameters
from jobjar.errors import UsageError

G = 1024**3


@pytest.mark.parametrize("parse, text, value", [
    (parameters.limit, "90m", 5400), (parameters.limit, "1h30m", 5400), (parameters.limit, "1.5h", 5400),
    (parameters.limit, "90s", 90), (parameters.limit, "2d", 172800), (parameters.limit, "12:30", 750),
    (parameters.limit, "01:30:00", 5400), (parameters.limit, "1-12:00:00", 129600), (parameters.limit, "1-12", 129600),
    (parameters.limit, "1-12:30", 131400), (parameters.limit, "0.5s", 0.5),
    (parameters.size, "3G", 3 * G), (parameters.size, "1.5G", 3 * G // 2), (parameters.size, "500m", 500 * 1024**2),
    (parameters.size, "1.001M", 1026 * 1024), (parameters.cpus, "4", 4), (parameters.cpus, "0.5", 0.5),
    (parameters.nice, "19", 19), (parameters.count, "0", 0), (parameters.positive, "1", 1),
    (parameters.signal, "USR1", "USR1@60"), (parameters.signal, "sigterm@5", "TERM@5"),
    (parameters.signal, "10@0", "USR1@0"), (parameters.signal, "34@1", "34@1"), (parameters.umask, "022", 18),
    (parameters.codes, "85,99", [85, 99]), (parameters.open_mode, "append", "append"),
    (parameters.export, "NONE", "NONE"), (parameters.export, "ALL,A=1,B", "ALL,A=1,B"),
    (parameters.export, "A=b=c d\n", "A=b=c d\n"), (parameters.paths, "a,/b c", ["a", "/b c"]),
    (parameters.path, "x\ny", "x\ny"), (parameters.line, "Grüße, 3 €", "Grüße, 3 €"),
    (parameters.array, "1-100:2,200%5", "1-100:2,200%5")])
def test_what_people_write_is_understood(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize("parse, texts", [
    (parameters.limit, ["", "0s", "90", "1.5", "-5", "1-", "-", ":", "1:2:3:4", "1-2:3:4:5", "2 h", "m", "1h1h", "1e3s",
                        "36501d", "999999-00", "1.2.3", "½h", "١m", "12:30m", "x"]),
    (parameters.size, ["", "0G", "0.0K", "3", "-3G", "3GB", "3 G", "G", "1e3M", "9999999999P", "8191P8", "½G",
                       "8388608T", "1.2.3G"]),
    (parameters.cpus, ["", "0", "0.0", "-1", "1e3", "x", ".", "1.2.3", "12345678901", "½"]),
    (parameters.nice, ["20", "-1", "", "x", "1.5"]), (parameters.positive, ["0", "-1", "", "1_0"]),
    (parameters.count, ["-1", "", "1.5", "٣"]),
    (parameters.signal, ["", "USR9", "@60", "USR1@", "USR1@x", "USR1@-1", "0", "65", "B:USR1@60", "USR1@1m"]),
    (parameters.umask, ["", "8", "00022", "rwx"]), (parameters.codes, ["", "0", "256", "1,", "1-3", "a"]),
    (parameters.open_mode, ["", "w", "Append"]),
    (parameters.export, ["", "A,", ",A", "A B", "=1", "A=\0", "JJ_HOME", "A=1,JJ_X=2", "A\n=1", "ALL,NONE", "A,NONE,ALL", "1A=2",
                         "A,é=1", "a.b=1", "a-b="]),
    (parameters.path, ["", "a\0b"]), (parameters.paths, ["", "a,,b", ","]),
    (parameters.line, ["", "a\nb", "a\x1b", "x" * 1001, "\udcff"]),
    (parameters.array, ["", "1-", "-1", "5-1", "1:2", "1-5:0", "1,1", "1-5,3", "a", "1-5%", "1-5%0", "%", "%0",
                        "1-1000001", "0-999999999", "1000000000000", "1 - 5", "1-5:2:3", "1-2-3"])])
def test_what_will_not_do_is_refused_with_a_remedy(parse, texts):
    for text in texts:
        with pytest.raises(UsageError, match="write|submit several|leave|name|smaller"):
            parse(text)


def test_a_variable_that_no_program_could_be_given_is_refused():
    assert parameters.variable("A=" + "x" * 131_069)
    for text in ("A=" + "x" * 131_070, "A=" + "€" * 43_690):
        with pytest.raises(UsageError, match="A is longer than"):
            parameters.variable(text)


def test_a_bare_number_for_time_or_memory_is_refused_with_both_readings():
    with pytest.raises(UsageError, match="write 90m or 90s"):
        parameters.limit("90")
    with pytest.raises(UsageError, match="write 300M, or 300K"):
        parameters.size("300")


@pytest.mark.parametrize("parse, show, texts", [
    (parameters.limit, parameters.show_duration, ["90m", "1.5s", "1-12:00:00", "36500d", "0.001s"]),
    (parameters.size, parameters.show_size, ["3G", "1.5G", "1.0001K", "1K", "7P", "1.37T"]),
    (parameters.cpus, parameters.show_number, ["4", "0.5", "0.125", "12345678.5", "123456789", "0.00000001"]),
    (parameters.umask, parameters.show_umask, ["022", "0", "7777", "77"]),
    (parameters.codes, parameters.show_list, ["85", "1,255,3"]), (parameters.signal, str, ["usr1", "34@5"])])
def test_what_is_shown_is_read_back_as_the_same(parse, show, texts):
    for text in texts:
        value = parse(text)
        assert parse(show(value)) == value


def test_a_size_that_is_given_in_bytes_is_never_shown_as_less():
    for number in (1, 1023, 1024, 1025, 3 * G, 3 * G + 1):
        assert number <= parameters.size(parameters.show_size(number)) < number + 1024


def test_indices_are_ranges_in_their_order_with_a_cap():
    assert parameters.indices("7,1-9:4%2") == ([range(7, 8), range(1, 10, 4)], 2)
    assert parameters.indices("1-1000000") == ([range(1, 1000001)], None)


def test_an_array_of_a_thousand_million_is_refused_at_once():
    with pytest.raises(UsageError, match="more than 1000000 tasks"):
        parameters.indices("0-999999998")


@pytest.mark.parametrize("text, number, name", [("USR1", 10, "USR1"), ("sigusr2", 12, "USR2"), ("9", 9, "KILL"),
                                                ("40", 40, "40")])
def test_signals_have_names_and_numbers(text, number, name):
    assert parameters.signal_number(text) == number and parameters.signal_name(number) == name


@pytest.mark.parametrize("text, found", [
    ("a", ["a"]), ("a,b c", ["a", "b c"]), ("a\\,b,c", ["a,b", "c"]), ("a\\b", ["a\\b"]), ("a\\\\,b", ["a\\", "b"]),
    ("\\\\\\,", ["\\,"]), ("end\\", ["end\\"])])
def test_a_comma_in_a_path_is_written_with_a_backslash(text, found):
    assert parameters.paths(text) == found
    assert parameters.paths(",".join(map(parameters.show_path, found))) == found


@pytest.mark.parametrize("text", ["", "a,", ",a", "a,,b"])
def test_a_path_has_at_least_one_character(text):
    with pytest.raises(UsageError, match="cannot be a path"):
        parameters.paths(text)


@pytest.mark.parametrize("text, why", [("-3", "from 0 to 19, for only root may have one below 0"), ("20", "from 0 to 19"),
                                       ("x", "from 0 to 19"), ("1234567890", "from 0 to 19")])
def test_a_nice_value_that_will_not_do_is_refused_with_the_range_of_those_that_do(text, why):
    with pytest.raises(UsageError) as caught:
        parameters.nice(text)
    assert str(caught.value) == f"{text!r} is no nice value: write a whole number {why}"
