% rebase("layout", title="Health")
% words = {"ok": "All is well.", "degraded": "Texts are answered, but something needs you.", "failing": "Texts get a 503, or may soon."}
<p><span class="state {{found.status}}">{{found.status}}</span> {{words[found.status]}}</p>
<p>Last text: \\
% if found.last_text_at:
{{!show_time(found.last_text_at)}}\\
% else:
nobody has texted yet\\
% end
.</p>
<table role="table">
<caption>Parts</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Part</th><th scope="col" role="columnheader">State</th><th scope="col" role="columnheader">Figures</th></tr></thead>
<tbody role="rowgroup">
% for name, check in found.checks.items():
<tr role="row">
<th scope="row" role="rowheader">{{name}}</th>
<td role="cell"><span class="state {{"ok" if check["ok"] else "bad"}}">{{"ok" if check["ok"] else "wrong"}}</span>
% if not check["ok"]:
 {{check["why"]}}
% end
</td>
<td role="cell">{{" · ".join(show_words(show_fact(*fact)) for fact in check.items() if fact[0] not in ("ok", "why") and fact[1] != [])}}</td>
</tr>
% end
</tbody>
</table>
<h2>Refused requests</h2>
% if found.refused:
<table role="table">
<caption>In the last day{{found.since_start}}, by reason as in the log</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Reason</th><th scope="col" role="columnheader">Requests</th></tr></thead>
<tbody role="rowgroup">
% for reason, count in found.refused:
<tr role="row"><th scope="row" role="rowheader">{{reason}}</th><td role="cell" data-label="Requests">{{count}}</td></tr>
% end
</tbody>
</table>
% else:
<p>None in the last day{{found.since_start}}.</p>
% end
% if found.has_wrong_signature:
<p class="advice">If texts of guests are missing, a signature does not match where <code>SMSCONVO_PUBLIC_URL</code> is not exactly what Twilio calls, or <code>TWILIO_AUTH_TOKEN</code> is an old one. Strangers who try your address are refused for the same reason.</p>
% end
% for caption, facts in (("Versions", found.versions), ("Settings", found.settings)):
<table role="table">
<caption>{{caption}}</caption>
<tbody role="rowgroup">
% for name, value in facts.items():
<tr role="row"><th scope="row" role="rowheader">{{name}}</th><td role="cell">{{value}}</td></tr>
% end
</tbody>
</table>
% end
