% rebase("layout", title=found.title)
<p class="secondary">Times in {{zone}}. This link ends {{!show_time(found.ends_at)}}.</p>
% if found.is_partial:
<p class="secondary">Charts are of the newest {{f"{found.looked_at:,}"}} conversations; the table goes on.</p>
% end
% if found.charts:
<div class="charts">
% for chart in found.charts:
% include("chart", chart=chart, address="", root=root)
% end
</div>
% end
% if found.rows:
<h2>Conversations</h2>
<div class="wide" role="region" aria-label="Conversations" tabindex="0">
<table role="table" class="rows">
<caption>The newest first</caption>
<thead role="rowgroup"><tr role="row">
% for column in found.columns:
<th scope="col" role="columnheader" title="{{column.hint}}">{{column.title}}</th>
% end
</tr></thead>
<tbody role="rowgroup">
% for row in found.rows:
<tr role="row">
% for cell in row:
% include("cell", cell=cell)
% end
</tr>
% end
</tbody>
</table>
</div>
% else:
<p>{{"Nobody has answered yet." if found.is_first else "There are no older ones."}}</p>
% end
% if not found.is_first or found.older:
<p class="pages">
% if not found.is_first:
<a href="?">Newest</a>
% end
% if found.older:
<a href="?before={{found.older}}">Older</a>
% end
</p>
% end
