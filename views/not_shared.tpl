% rebase("layout", title="No results here")
<p>{{"This link shows nothing now. Ask whoever sent it for another one." if status < 500 else "Nothing can be shown just now. Try again in some minutes."}}</p>
