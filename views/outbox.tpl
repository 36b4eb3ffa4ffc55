% rebase("layout", title="Outbox")
<ul class="chips">
% for chip in found.chips:
<li><a class="chip" href="{{root}}/console/outbox{{chip.address}}"\\
% if chip.is_current:
 aria-current="true"\\
% end
>{{chip.words}} <b>{{"more than " if chip.is_more else ""}}{{chip.count}}</b></a></li>
% end
</ul>
% if found.groups:
<table role="table">
<caption>What has not arrived, by receiver and cause\\
% if found.is_partial:
, of the newest of each state\\
% end
</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Receiver</th><th scope="col" role="columnheader">Results</th><th scope="col" role="columnheader">Why</th><th scope="col" role="columnheader">Oldest</th><td role="cell"></td></tr></thead>
<tbody role="rowgroup">
% for group in found.groups:
<tr role="row">
<th scope="row" role="rowheader">{{group.host}}\\
% if operator.may_act:
 <span class="secondary path">{{group.path}}</span>\\
% end
</th>
<td role="cell" data-label="Results"><a href="{{root}}/console/outbox{{group.address}}">{{group.count}} {{group.words}}</a></td>
<td role="cell" data-label="Why"><bdi>{{show_words(group.error)}}</bdi></td>
<td role="cell" data-label="Oldest" class="whole">
% if group.oldest:
{{!show_time(group.oldest)}}
% else:
unknown
% end
</td>
<td role="cell">
% if operator.may_act and group.can_retry:
<a class="act" href="{{root}}/console/outbox/{{group.newest_id}}/retry-all">Try all again</a>
% end
</td>
</tr>
% end
</tbody>
</table>
% end
% if found.is_filtered:
<p>\\
% if found.receiver:
Receiver: {{found.receiver}}. \\
% end
% if found.cause:
Cause: {{found.cause}}. \\
% end
<a href="{{root}}/console/outbox">Clear filters</a></p>
% end
% for error in found.unreadable:
<p class="advice">Result <a href="{{root}}/console/outbox/{{error.id}}">{{error.id}}</a> cannot be read: its {{error.column}} {{error.reason}}.</p>
% end
% if found.rows:
<table role="table">
<caption>Results, the newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Result</th><th scope="col" role="columnheader">State</th><th scope="col" role="columnheader">Receiver</th><th scope="col" role="columnheader">Attempts</th><th scope="col" role="columnheader">Last answer</th><th scope="col" role="columnheader">Age</th><th scope="col" role="columnheader">Conversation</th></tr></thead>
<tbody role="rowgroup">
% for row in found.rows:
<tr role="row">
<th scope="row" role="rowheader"><a href="{{root}}/console/outbox/{{row.id}}">Result {{row.id}}</a></th>
<td role="cell" data-label="State" class="whole">{{row.words}}\\
% if row.words != row.state:
 <span class="secondary">{{row.state}}</span>\\
% end
</td>
<td role="cell" data-label="Receiver" class="receiver">{{row.host}}</td>
<td role="cell" data-label="Attempts">{{row.attempts}}\\
% if row.next_attempt_at:
, next {{!show_time(row.next_attempt_at)}}\\
% end
</td>
<td role="cell" data-label="Last answer">\\
% if row.error:
<bdi>{{show_words(row.error)}}</bdi>\\
% elif row.status:
HTTP {{row.status}}\\
% else:
none yet\\
% end
</td>
<td role="cell" data-label="Age" class="whole">{{row.age}}</td>
<td role="cell" data-label="Conversation"><a href="{{root}}/console/threads/{{row.conversation_id}}">{{row.conversation_id}}</a></td>
</tr>
% end
</tbody>
</table>
% elif found.more:
<p>None among the newest of these. Older ones may match.</p>
% elif found.is_filtered:
<p>No result matches. <a href="{{root}}/console/outbox">Clear filters</a></p>
% else:
<p>Everything has arrived. A result appears here when a conversation ends whose questionnaire sends its results somewhere.</p>
% end
% if found.more:
<p><a href="{{root}}/console/outbox{{found.more}}">Older</a></p>
% end
