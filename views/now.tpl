% rebase("layout", title="Now")
% if found.total:
<dl class="figures">
% for state, count in found.counts.items():
<div><dt>{{"gone silent" if state == "expired" else state}}</dt><dd>{{count}}</dd></div>
% end
</dl>
<p class="secondary">Conversations by their state\\
% if found.is_partial:
, of the newest {{found.total}}\\
% end
.</p>
% else:
<p>No conversation yet. Text {{f"“{found.event}”" if found.event else "anything"}} to {{found.number or "your number"}}.</p>
% end
