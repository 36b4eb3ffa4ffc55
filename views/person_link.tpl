% if person.id:
<a href="{{root}}/console/people/{{person.id}}"><bdi>{{person.label}}</bdi></a>\\
% else:
<bdi>{{person.label}}</bdi>\\
% end
% if person.name:
 <span class="secondary"><bdi>{{person.phone}}</bdi></span>\\
% end
