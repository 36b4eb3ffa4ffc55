% rebase("layout", title="Sessions")
% if found:
<table role="table">
<caption>Browsers that are signed in</caption>
<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Signed in</th><th scope="col" role="columnheader">By</th><th scope="col" role="columnheader">From</th><th scope="col" role="columnheader">May</th><th scope="col" role="columnheader">Last seen</th><td role="cell"></td></tr></thead>
<tbody role="rowgroup">
% for session in found:
<tr role="row">
<th scope="row" role="rowheader">{{!show_time(session.created_at)}}</th>
<td role="cell" data-label="By">{{f"{session.name}, {session.method}" if session.name else session.method}}</td>
<td role="cell" data-label="From">{{session.address}}</td>
<td role="cell" data-label="May">{{session.role}}</td>
<td role="cell" data-label="Last seen">{{!show_time(session.seen_at)}}</td>
<td role="cell">
% if session.id == operator.session_id:
this browser
% elif operator.may_act:
<form method="post" action="{{root}}/console/sessions/{{session.id}}/revoke"><button>Sign it out</button></form>
% end
</td>
</tr>
% end
</tbody>
</table>
% else:
<p>No browser is signed in by a link or a password. Your proxy says who you are.</p>
% end
<p class="secondary">A session ends after 30 days without a visit, and after 90 days at the latest.\\
% if operator.may_act:
 A browser that you sign out can come back only with a new link, or the password.\\
% end
</p>
