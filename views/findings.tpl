<div id="findings" aria-live="polite">
% if found.problems:
<h2>What <code>check</code> says</h2>
% include("problems", problems=found.problems)
% else:
<p class="secondary">No mistakes.</p>
% end
% if not found.tryout:
<p>Correct this, and the phone is back as it was.</p>
% end
</div>
