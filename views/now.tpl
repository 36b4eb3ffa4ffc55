% rebase("layout", title="Now")
% if overview.total:
<dl class="figures">
% for state, count in overview.counts.items():
<div><dt>{{"gone silent" if state == "expired" else state}}</dt><dd>{{count}}</dd></div>
% end
</dl>
<p class="secondary">Conversations by their state\\
% if overview.is_partial:
, of the newest {{overview.total}}\\
% end
.</p>
% else:
<p>No conversation yet. Text {{f"“{overview.event}”" if overview.event else "anything"}} to {{overview.number or "your number"}}.</p>
% end
