% rebase("layout", title=f"Thread {found.id}", section="Threads", live=True)
% if found.person:
<p>
% include("person_link", person=found.person)
 <span class="secondary">· with {{found.number}}</span></p>
<p><span class="state">{{found.state_name}}</span>
% if found.is_test:
 <span class="state">test</span>
% end
% if found.waiting == "them":
 waits for {{found.question}}
% elif found.waiting == "us":
 they wait for us
% elif found.question:
 at {{found.question}}
% end
 <span class="secondary">· <a href="{{root}}{{found.like_this}}">{{found.title}}</a>, version {{found.version_id}}</span></p>
% end
% include("note", note=found.contact_note)
% include("acts", choices=found.choices)
% if found.unreadable:
<div class="advice"><p>Something of this thread cannot be read, and is left out. Somebody has edited these rows:</p>
<ul>
% for each in found.unreadable:
<li>{{each}}</li>
% end
</ul></div>
% end
<div class="beside">
<section aria-labelledby="answers">
<h2 id="answers">Answers</h2>
% if found.answers:
<dl class="answers">
% for given in found.answers:
<dt dir="auto">{{given.question}} <code>{{given.key}}</code></dt>
<dd><a href="{{given.address}}" class="words" dir="auto">{{given.outcome}}</a>
% if given.differs:
 <span class="secondary words" dir="auto">“{{given.text}}”</span>
% end
</dd>
% end
</dl>
% else:
<p class="secondary">No answers yet.</p>
% end
</section>
<section aria-label="Texts">
% if found.earlier:
<p><a href="{{found.earlier}}">Earlier texts</a></p>
% end
% for day in found.days:
<h2 class="day">{{day.label}}</h2>
% for item in day.items:
% if item.is_text:
% include("bubble", item=item)
% else:
<p class="event" dir="auto">\\
% if item.address:
<a href="{{root}}{{item.address}}">{{item.text}}</a>\\
% else:
{{item.text}}\\
% end
 · {{!show_time(item.at, has_day=False)}}</p>
% end
% end
% end
% if not found.days:
<p>No texts here.</p>
% end
% if not found.is_newest:
<p><a href="{{root}}/console/threads/{{found.id}}">The newest texts</a></p>
% end
</section>
</div>
