% rebase("layout", title="Shares")
% if found.shares:
<table role="table">
<caption>Links that show results, the newest first</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Questionnaire</th><th scope="col" role="columnheader">Questions</th><th scope="col" role="columnheader">Senders and names</th><th scope="col" role="columnheader">Made</th><th scope="col" role="columnheader">Ends</th><th scope="col" role="columnheader">Last opened</th><td role="cell"></td></tr></thead>
<tbody role="rowgroup">
% for share in found.shares:
<tr role="row">
<th scope="row" role="rowheader" dir="auto">{{found.titles.get(share.questionnaire, share.questionnaire)}}</th>
<td role="cell" data-label="Questions">{{", ".join(share.questions)}}</td>
<td role="cell" data-label="Senders and names">{{"countries of senders" if share.senders == "masked" else "no senders"}}, {{"names" if share.names == "shown" else "no names"}}</td>
<td role="cell" data-label="Made">{{!show_time(share.created_at)}} <span class="secondary">by <bdi>{{share.created_by}}</bdi></span></td>
<td role="cell" data-label="Ends">{{!show_time(share.expires_at)}}</td>
<td role="cell" data-label="Last opened">
% if share.opened_at:
{{!show_time(share.opened_at)}}
% else:
<span class="secondary">never</span>
% end
</td>
<td role="cell">
% if operator.may_act:
<a class="act" href="{{root}}/console/shares/{{share.id}}/revoke">Revoke</a>
% end
</td>
</tr>
% end
</tbody>
</table>
% else:
<p>Nothing is shared. A link shows answers to questions that you choose, without signing in.</p>
% end
% if operator.may_act and found.titles:
<h2>Share results</h2>
<p class="acts">
% for name, title in found.titles.items():
<a class="act" href="{{root}}/console/shares/new?questionnaire={{quote(name)}}"><bdi>{{title}}</bdi></a>
% end
</p>
% end
