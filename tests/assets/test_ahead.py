"""Reading ahead."""

from assets.ahead import ahead


def test_the_next_item_is_made_while_one_is_worked_on_and_errors_come_through():
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield number
        raise ValueError("the end")

    found = ahead(items())
    assert next(found) == 0
    assert list_until_error(found) == ([1, 2], "the end")
    assert made == [0, 1, 2]


def list_until_error(items):
    got = []
    try:
        for item in items:
            got.append(item)
    except ValueError as error:
        return got, str(error)
    return got, None
