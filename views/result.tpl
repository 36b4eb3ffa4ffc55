% rebase("layout", title=f"Result {found.id}", section="Outbox")
% if found.problem:
<p class="advice" role="alert">This row cannot be read. {{found.problem}} Correct that in the database: see <i>Results that do not arrive</i> in docs/operating.md.</p>
% else:
% delivery = found.delivery
<p><span class="state {{found.state}}">{{found.words}}</span>
% if found.words != found.state:
<span class="secondary">{{found.state}}</span>
% end
{{found.meaning}}</p>
% if delivery.last_error:
<p><bdi>{{show_words(delivery.last_error)}}</bdi></p>
% end
% include("acts", choices=found.choices)
<dl class="facts">
<div><dt>Conversation</dt><dd><a href="{{root}}/console/threads/{{delivery.conversation_id}}">{{delivery.conversation_id}}</a></dd></div>
<div><dt>Receiver</dt><dd>{{found.host}}\\
% if operator.may_act:
 <span class="secondary">{{delivery.url}}</span>\\
% end
</dd></div>
<div><dt>Owed since</dt><dd>{{!show_time(delivery.created_at)}}, {{found.age}} ago</dd></div>
% if delivery.delivered_at:
<div><dt>Arrived</dt><dd>{{!show_time(delivery.delivered_at)}}</dd></div>
% end
% if found.state == "pending" and delivery.next_attempt_at:
<div><dt>Next attempt</dt><dd>{{!show_time(delivery.next_attempt_at)}}</dd></div>
% end
<div><dt>Attempts</dt><dd>{{delivery.attempts}}</dd></div>
<div><dt>webhook-id</dt><dd>{{delivery.webhook_id}}</dd></div>
</dl>
<h2>What is sent</h2>
% if found.fields:
<table role="table">
<caption>Fields of a form</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Field</th><th scope="col" role="columnheader">Value</th></tr></thead>
<tbody role="rowgroup">
% for name, value in found.fields:
<tr role="row"><th scope="row" role="rowheader">{{name}}</th><td role="cell" dir="auto">{{value}}</td></tr>
% end
</tbody>
</table>
% else:
<pre dir="auto" tabindex="0">{{found.text}}</pre>
% end
<h2>Attempts</h2>
% if found.attempts:
<table role="table">
<caption>The last one first\\
% if found.has_earlier_attempts:
; there were more\\
% end
</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">When</th><th scope="col" role="columnheader">Took</th><th scope="col" role="columnheader">Status</th><th scope="col" role="columnheader">What happened</th></tr></thead>
<tbody role="rowgroup">
% for attempt in found.attempts:
<tr role="row">
<th scope="row" role="rowheader">{{!show_time(attempt.started_at)}}</th>
<td role="cell" data-label="Took">{{attempt.seconds}}</td>
<td role="cell" data-label="Status">{{"none" if attempt.status is None else attempt.status}}</td>
<td role="cell" data-label="What happened"><bdi>{{show_words(attempt.outcome)}}</bdi>
% if attempt.answer:
<details><summary>What was answered</summary><pre dir="auto" tabindex="0">{{show_words(attempt.answer)}}</pre>
% if attempt.is_cut:
<p class="secondary">This is the beginning of it.</p>
% end
</details>
% end
</td>
</tr>
% end
</tbody>
</table>
% else:
<p>None was recorded.</p>
% end
% end
