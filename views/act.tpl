% rebase("layout", title=found.title)
<p>{{found.sentence}}</p>
<form method="post" class="stacked">
% for field in found.fields:
% include("field", field=field)
% end
<button>{{found.button}}</button>
<a href="{{root}}{{found.back.partition("?")[0]}}">Go back</a>
</form>
