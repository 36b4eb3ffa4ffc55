% rebase("layout", title="The link is made", section="Shares")
<p>Copy it now, for it is shown only once. Reloading this page would make another link.</p>
<p><a href="{{public_url}}{{found.secret}}" rel="noreferrer">{{public_url}}{{found.secret}}</a></p>
<p><a href="{{root}}{{found.back}}">Back</a></p>
