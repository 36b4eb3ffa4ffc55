% rebase("layout", title="Health")
% words = {"ok": "All is well.", "degraded": "Texts are answered, but something needs you.", "failing": "Texts get a 503, or may soon."}
<p><span class="state {{report.status}}">{{report.status}}</span> {{words[report.status]}}</p>
<p>Last text: \\
% if report.last_text_at:
<time datetime="{{report.last_text_at.isoformat()}}">{{show_time(report.last_text_at)}}</time> UTC\\
% else:
nobody has texted yet\\
% end
.</p>
<table>
<caption>Parts</caption>
<thead><tr><th scope="col">Part</th><th scope="col">State</th><th scope="col">Figures</th></tr></thead>
<tbody>
% for name, check in report.checks.items():
<tr>
<th scope="row">{{name}}</th>
<td><span class="state {{"ok" if check["ok"] else "bad"}}">{{"ok" if check["ok"] else "wrong"}}</span>
% if not check["ok"]:
 {{check["why"]}}
% end
</td>
<td>{{" · ".join(show_fact(*fact) for fact in check.items() if fact[0] not in ("ok", "why") and fact[1] != [])}}</td>
</tr>
% end
</tbody>
</table>
% for caption, facts in (("Versions", report.versions), ("Settings", report.settings)):
<table>
<caption>{{caption}}</caption>
<tbody>
% for name, value in facts.items():
<tr><th scope="row">{{name}}</th><td>{{value}}</td></tr>
% end
</tbody>
</table>
% end
