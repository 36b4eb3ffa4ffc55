<article class="text {{"in" if item.is_inbound else "out"}}" id="m{{item.id}}" aria-label="{{"Theirs" if item.is_inbound else "Ours"}}">
<p class="bubble" dir="auto">{{item.body}}</p>
% for each in item.media:
<p>
% include("photo", words=each.words, type=each.type, url=each.url)
</p>
% end
% if item.location:
<p class="secondary">a shared place: <bdi>{{item.location.label}}</bdi> {{item.location.latitude}}, {{item.location.longitude}}</p>
% end
<details>
<summary class="secondary">{{!show_time(item.at, has_day=False)}}\\
% if item.answer:
 · answer to {{item.answer.key}}{{":" if item.reading else ""}} <bdi>{{item.reading}}</bdi>\\
% end
% if item.failure:
 · <strong class="bad">{{item.failure}}</strong>\\
% end
% for each in item.notes:
 · {{each}}\\
% end
</summary>
<p class="secondary">{{" · ".join(item.codes)}}</p>
% if item.params:
<dl class="params">
% for name, value in item.params.items():
<dt>{{name}}</dt><dd dir="auto">{{value}}</dd>
% end
</dl>
% end
</details>
</article>
