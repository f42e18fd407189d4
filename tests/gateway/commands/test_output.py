"""What commands print."""

from gateway.commands.output import show_json, show_table


def test_what_is_shown_reads_well(capsys):
    show_json({"id": "a"})
    show_table(("id", "usd", "models", "note"), [("a", 1.5, ("x", "y"), None)])
    output = capsys.readouterr().out
    assert '"id": "a"' in output
    assert "1.5000" in output
    assert "x, y" in output
    assert "None" not in output


def test_what_others_wrote_is_shown_as_it_stands(capsys):
    show_table(("id", "owner"), [("a", "bob [/x] [bold]b[/bold] :smile:")])
    assert "bob [/x] [bold]b[/bold] :smile:" in capsys.readouterr().out
