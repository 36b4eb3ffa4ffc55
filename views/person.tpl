% rebase("layout", title=found.person.label or f"Person {found.person.id}", section="People")
% if found.person.name:
<p class="secondary">{{found.person.phone}}</p>
% end
% if found.alias:
<p class="secondary">Also known as {{found.alias}}.</p>
% end
% if found.others:
<p>The same sender texts from other addresses, too:
% for other in found.others:
% include("person_link", person=other)
% end
</p>
% end
% if found.unreadable:
<div class="advice"><p>Something of this person cannot be read. Until it is corrected, nothing goes out to them. Somebody has edited these rows:</p>
<ul>
% for each in found.unreadable:
<li>{{each}}</li>
% end
</ul></div>
% end
% if found.opted_out_at:
<p><span class="state bad">opted out</span> {{!show_time(found.opted_out_at)}}. They get nothing more until they text START.</p>
% elif found.perhaps_opted_out_at:
<p><span class="state degraded">may want no more texts</span> since {{!show_time(found.perhaps_opted_out_at)}}. Ask them, or opt them out.</p>
% end
% include("note", note=found.contact_note)
% include("acts", choices=found.choices)
% if found.opt_keywords:
<h2>Opting out and in</h2>
<ul>
% for opt_keyword in found.opt_keywords:
<li>{{!show_time(opt_keyword.at)}}: {{opt_keyword.meaning}}, by “\\
% if opt_keyword.conversation_id:
<a href="{{root}}/console/threads/{{opt_keyword.conversation_id}}?before={{opt_keyword.message_id + 1}}#m{{opt_keyword.message_id}}"><bdi>{{opt_keyword.body}}</bdi></a>\\
% else:
<bdi>{{opt_keyword.body}}</bdi>\\
% end
”</li>
% end
</ul>
% end
% if found.earlier:
<p><a href="{{found.earlier}}">Earlier threads</a></p>
% end
% if found.threads:
% include("thread_rows", threads=found.threads, caption="Threads, the oldest first", with_person=False)
% else:
<p>No conversation: what they texted has opened nothing.</p>
% end
% if not found.is_newest:
<p><a href="{{root}}/console/people/{{found.person.id}}">The newest threads</a></p>
% end
