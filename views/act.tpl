% rebase("layout", title=found.title)
<p>{{found.sentence}}</p>
<form method="post" class="stacked">
% if found.reason:
<label for="reason">{{found.reason}}</label>
<input id="reason" name="reason" maxlength="500">
% end
<button>{{found.button}}</button>
<a href="{{root}}{{found.back.partition("?")[0]}}">Go back</a>
</form>
