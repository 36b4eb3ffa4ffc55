<table role="table">
<caption>{{caption}}</caption>
<thead role="rowgroup"><tr role="row">\\
% if with_person:
<th scope="col" role="columnheader">Who</th>\\
% end
<th scope="col" role="columnheader">Last words</th><th scope="col" role="columnheader">State</th><th scope="col" role="columnheader">Questionnaire</th><th scope="col" role="columnheader">Texted</th></tr></thead>
<tbody role="rowgroup">
% for thread in threads:
<tr role="row">
% if with_person:
<th scope="row" role="rowheader">
% include("person_link", person=thread.person)
</th>
% end
<td role="cell"><a href="{{root}}/console/threads/{{thread.id}}{{f"#m{thread.text_id}" if thread.text_id else ""}}" class="words" dir="auto">{{thread.text or f"thread {thread.id}"}}</a></td>
<td role="cell"><span class="state">{{thread.state_name}}</span>
% if thread.is_test:
 <span class="state">test</span>
% end
% if thread.did_not_arrive:
 <span class="state bad">{{thread.failure}}</span> <span class="secondary">{{thread.reason}}</span>
% elif thread.waiting == "us":
 <span class="secondary">they wait for us: their text was set aside</span>
% elif thread.waiting == "them":
 <span class="secondary">waits for {{thread.question}}</span>
% elif thread.question:
 <span class="secondary">at {{thread.question}}</span>
% end
</td>
<td role="cell" class="secondary">{{thread.title}}</td>
<td role="cell" class="secondary">{{!show_time(thread.text_at or thread.active_at)}}</td>
</tr>
% end
</tbody>
</table>
