% rebase("layout", title="Sign in")
<p>This link signs this browser in to the console, once.</p>
<form method="post"><button>Sign in</button></form>
