"""Days and times of day, as people text them: a small grammar over words of several languages.

`symbols` makes symbols of a text, with the words that `lexicon` has from languages/*.toml. `days`
and `clock` find what names a day or a time among them, with all that each can mean. `sentence`
says whether what remains leaves that an answer.
"""
