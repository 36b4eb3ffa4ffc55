<section class="chart">
<h2 dir="auto">{{chart.ask}}</h2>
<p class="secondary">\\
% if chart.address:
<a href="{{address}}{{chart.address}}">n = {{f"{chart.n:,}"}}</a>\\
% else:
n = {{f"{chart.n:,}"}}\\
% end
% for name, value in chart.facts.items():
 · {{name}} {{value}}\\
% end
 <code>{{chart.key}}</code></p>
% for hint in chart.hints:
<p class="secondary">{{hint}}</p>
% end
% if chart.newest and chart.bars:
<h3>Commonest answers</h3>
% end
% if chart.bars or chart.grey:
<table role="table" class="bars">
<caption class="unseen">{{chart.ask}}</caption>
<thead role="rowgroup" class="unseen"><tr role="row"><th scope="col" role="columnheader">Answer</th><th scope="col" role="columnheader">Conversations</th></tr></thead>
<tbody role="rowgroup">
% for kind, bars in (("", chart.bars), ("grey", chart.grey)):
% for bar in bars:
<tr role="row" class="{{kind}}">
<th scope="row" role="rowheader" dir="auto">\\
% if bar.address:
<a href="{{address}}{{bar.address}}">{{bar.label}}</a>\\
% else:
{{bar.label}}\\
% end
</th>
<td role="cell"><svg class="bar" role="img" aria-label="{{bar.figures}}" height="24">
<rect x="0" y="4" width="{{bar.width}}%" height="16"></rect>
<text x="100%" y="17" text-anchor="end">{{bar.figures}}</text>
</svg></td>
</tr>
% end
% end
</tbody>
</table>
% end
% if chart.unanswered and chart.address:
<p class="secondary"><a href="{{address}}{{chart.unanswered_address}}">{{f"{chart.unanswered:,}"}} without an answer</a></p>
% end
% if chart.newest:
<h3>Newest answers</h3>
<ul class="quotes">
% for words in chart.newest:
<li>\\
% if chart.address:
<a href="{{root}}/console/threads/{{words.id}}" dir="auto">{{words.text}}</a>\\
% else:
<span dir="auto">{{words.text}}</span>\\
% end
</li>
% end
</ul>
% end
% if chart.photos:
<h3>Newest</h3>
<ul class="quotes">
% for photo in chart.photos:
<li>\\
% include("photo", words=f"File {photo.text}", type="", url=photo.url)
% if chart.address:
 of <a href="{{root}}/console/threads/{{photo.id}}">conversation {{photo.id}}</a>\\
% end
</li>
% end
</ul>
% end
</section>
