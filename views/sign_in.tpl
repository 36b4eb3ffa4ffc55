% rebase("layout", title="Sign in")
% if advice:
<p class="advice" role="alert">{{advice}}</p>
% end
<p>Run this on the server, and open the link that it prints:</p>
<p><code>python smsconvo.py console</code></p>
<form method="post" action="{{root}}/console/sign-in" class="stacked">
<label for="password">Or use the password, if one was set</label>
<input type="password" id="password" name="password" maxlength="200" autocomplete="current-password" required>
<button>Sign in</button>
</form>
