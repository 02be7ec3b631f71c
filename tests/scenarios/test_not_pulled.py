"""A folder that never pulled says so, instead of finding nobody and nothing wrong."""


def test_nothing_is_answered_out_of_an_empty_mirror(alliance):
    """Screened too early, a file of counterfeit sellers would seem to be clean."""
    file = alliance.folder / "list.csv"
    file.write_text("domain\nshop.example\n")
    alliance.hub("maison", "publish", file)
    for who, words in (
        ("market", ("screen", file)),
        ("market", ("reports",)),
        ("market", ("audit",)),
        ("auditor1", ("audit",)),
    ):
        assert alliance.hub(who, *words, status=5) == []
        assert "Run hub pull first" in alliance.said
    words = ("lookup", "--type", "domain")
    assert alliance.hub("market", *words, text="shop.example", status=5) == []
    alliance.hub("market", "pull")
    [result] = alliance.hub("market", "screen", file, status=3)
    assert result["match"] == "exact"
    assert alliance.hub("market", "audit")[0]["ok"]
