% rebase("layout", title="No results here")
<p>{{"This link shows nothing now. Ask whoever sent it for another one." if status < 500 else "Nothing can be shown just now. Perhaps many people look at once: reload this page in a minute."}}</p>
